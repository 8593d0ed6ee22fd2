// Package vmnet is a client of the vmnet protocol, with the interface that
// rootlesskit's vpnkit driver is written against.  Debian has no package of
// the Go client, and builds rootlesskit without the driver for that.
package vmnet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	initLen     = 49
	commandLen  = 41
	responseLen = 258
	bootp       = 14 + 20 + 8 // where the DHCP message is in a frame
	dhcpLen     = 244         // up to and with the end option
)

// Vmnet is a connection to the server, which has shaken hands.
type Vmnet struct {
	conn net.Conn
}

// Vif is an interface of the virtual network.
type Vif struct {
	MTU           uint
	MaxPacketSize uint
	ClientMAC     net.HardwareAddr
	IP            net.IP

	conn  net.Conn
	write sync.Mutex
}

// New connects to the socket and exchanges versions.
func New(ctx context.Context, path string) (*Vmnet, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	hello := make([]byte, initLen)
	copy(hello, "VMN3T\x16")
	want := append([]byte(nil), hello[:9]...)
	if _, err = conn.Write(hello); err == nil {
		_, err = io.ReadFull(conn, hello)
	}
	if err == nil && !bytes.Equal(hello[:9], want) {
		err = errors.New("bad magic or version")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &Vmnet{conn}, nil
}

// Close ends the connection.
func (v *Vmnet) Close() error {
	return v.conn.Close()
}

// ConnectVif asks for the interface of a UUID, and DHCP for its address.
func (v *Vmnet) ConnectVif(id uuid.UUID) (*Vif, error) {
	command := make([]byte, commandLen)
	command[0] = 1
	copy(command[1:], id.String())
	if _, err := v.conn.Write(command); err != nil {
		return nil, err
	}
	r := make([]byte, responseLen)
	if _, err := io.ReadFull(v.conn, r); err != nil {
		return nil, err
	}
	if r[0] != 1 {
		return nil, fmt.Errorf("refused: %s", r[2:2+int(r[1])])
	}
	vif := &Vif{
		MTU:           uint(binary.LittleEndian.Uint16(r[1:])),
		MaxPacketSize: uint(binary.LittleEndian.Uint16(r[3:])),
		ClientMAC:     append(net.HardwareAddr(nil), r[5:11]...),
		conn:          v.conn,
	}
	return vif, vif.dhcp()
}

// Read returns the next frame.
func (v *Vif) Read() ([]byte, error) {
	var prefix [2]byte
	if _, err := io.ReadFull(v.conn, prefix[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.LittleEndian.Uint16(prefix[:]))
	_, err := io.ReadFull(v.conn, frame)
	return frame, err
}

// Write sends a frame.
func (v *Vif) Write(frame []byte) error {
	v.write.Lock()
	defer v.write.Unlock()
	prefix := []byte{byte(len(frame)), byte(len(frame) >> 8)}
	_, err := v.conn.Write(append(prefix, frame...))
	return err
}

func (v *Vif) discover() []byte {
	f := make([]byte, bootp+dhcpLen)
	copy(f, "\xff\xff\xff\xff\xff\xff")
	copy(f[6:], v.ClientMAC)
	f[12] = 8
	copy(f[14:], []byte{0x45, 0, 0x01, 0x10, 0x7f, 0x61, 0, 0, 64, 17, 0, 0,
		0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67, 0, 252, 0, 0})
	copy(f[bootp:], []byte{1, 1, 6, 0, 1, 0, 0, 0, 0, 0, 0x80, 0})
	copy(f[bootp+28:], v.ClientMAC)
	copy(f[bootp+236:], []byte{99, 130, 83, 99, 53, 1, 1, 255})
	return f
}

func offered(f []byte) net.IP {
	if len(f) < bootp+243 || f[23] != 17 || f[bootp] != 2 ||
		f[bootp+4] != 1 || f[bootp+240] != 53 || f[bootp+242] != 2 {
		return nil
	}
	return net.IP(f[bootp+16 : bootp+20])
}

// dhcp sends a DISCOVER each second until there is an offer.
func (v *Vif) dhcp() error {
	defer v.conn.SetReadDeadline(time.Time{})
	for try := 0; try < 10; try++ {
		if err := v.Write(v.discover()); err != nil {
			return err
		}
		v.conn.SetReadDeadline(time.Now().Add(time.Second))
		frame, err := v.Read()
		if err == nil {
			v.IP = offered(frame)
		}
		if v.IP != nil {
			return nil
		}
		var late net.Error
		if err != nil && !(errors.As(err, &late) && late.Timeout()) {
			return err
		}
	}
	return errors.New("no offer")
}
