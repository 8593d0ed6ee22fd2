// Package water opens a TAP, with the interface that rootlesskit's vpnkit
// driver is written against.
package water

import (
	"os"
	"syscall"
	"unsafe"
)

// TAP is the only type of device there is here.
const TAP = 1

// PlatformSpecificParams names the device.
type PlatformSpecificParams struct {
	Name string
}

// Config says what to open.
type Config struct {
	DeviceType int
	PlatformSpecificParams
}

// Interface is an open TAP.
type Interface struct {
	*os.File
	name string
}

// Name is the device's.
func (i *Interface) Name() string {
	return i.name
}

// New opens the TAP.
func New(c Config) (*Interface, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var req [40]byte
	copy(req[:syscall.IFNAMSIZ-1], c.Name)
	req[syscall.IFNAMSIZ] = syscall.IFF_TAP
	req[syscall.IFNAMSIZ+1] = syscall.IFF_NO_PI >> 8
	_, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd),
		syscall.TUNSETIFF, uintptr(unsafe.Pointer(&req)))
	if e != 0 {
		syscall.Close(fd)
		return nil, e
	}
	syscall.SetNonblock(fd, true)
	return &Interface{os.NewFile(uintptr(fd), "tun"), c.Name}, nil
}
