#!/bin/sh
# qemu.sh BUILD stream|dgram|loss: a virtual machine as guest, Debian's cloud kernel
# and a busybox initramfs made here, on QEMU's "stream" network with 32-bit
# length framing, or on its "dgram" network.  Its address comes by DHCP, it
# pings, and it downloads a file, and uploads what it has made of it; hashes are
# compared.  With "loss" all of this over a link that loses 1 % of the frames.
. "$(dirname "$0")/lib.sh"

MODE=${2:-stream}
need qemu-system-x86_64 busybox cpio dpkg-deb sha256sum
KERNELS=${KERNELS:-$BUILD/../kernel}

# The kernel package is unpacked, never installed; kept for the next run.
kernel() {
	find "$KERNELS" -name 'vmlinuz-*-cloud-amd64' 2>/dev/null | head -n 1
}
[ -n "$(kernel)" ] || skip "no cloud kernel in $KERNELS (test.sh fetches it)"
KVER=$(kernel | sed 's/.*vmlinuz-//')
MODULES=$KERNELS/lib/modules/$KVER

# The modules of a virtio network card, each after those it needs.
ORDER="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev"
ORDER="$ORDER virtio_pci failover net_failover virtio_net"

initramfs() {
	root=$DIR/root
	mkdir -p "$root/bin" "$root/mod" "$root/proc" "$root/dev"
	cp "$(command -v busybox)" "$root/bin/busybox"
	for m in $ORDER; do
		find "$MODULES" -name "$m.ko" -exec cp {} "$root/mod/" \;
	done
	cat >"$root/lease" <<-'L'
		#!/bin/busybox sh
		[ "$1" = bound ] || exit 0
		busybox ifconfig eth0 "$ip" netmask "$subnet" up
		busybox route add default gw "$router"
		echo "GUEST dhcp $ip $subnet $router $dns"
	L
	cat >"$root/init" <<-L
		#!/bin/busybox sh
		busybox mount -t proc none /proc
		busybox mount -t devtmpfs none /dev
		for m in $ORDER; do
			[ ! -e /mod/\$m.ko ] || busybox insmod /mod/\$m.ko
		done
		busybox ifconfig eth0 up
		busybox udhcpc -i eth0 -n -q -f -s /lease
		busybox ping -c 5 $GATEWAY >/dev/null && echo "GUEST ping ok"
		busybox nslookup one.example $GATEWAY | busybox grep -q 198.51.100.1 && echo "GUEST dns ok"
		busybox wget -q -O /file http://$SERVER:8080/file
		busybox sha256sum </file | busybox sed 's/^/GUEST sum /'
		busybox tac /file >/back
		busybox nc $SERVER 8081 </back
		echo "GUEST done"
		busybox poweroff -f
	L
	chmod +x "$root/init" "$root/lease"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$DIR/initrd"
}

lab
lab_dns
mkdir "$DIR/www"
head -c "${FILE_BYTES:-20000017}" /dev/urandom >"$DIR/www/file"
busybox httpd -p $SERVER:8080 -h "$DIR/www"
SUM=$(sha256sum <"$DIR/www/file" | cut -d' ' -f1)
mkfifo "$DIR/silence" # from which no end comes, so nc hears the guest out
timeout 300 busybox nc -l -p 8081 <>"$DIR/silence" >"$DIR/back" &
UPLOAD=$!
initramfs
case $MODE in
stream)
	suite --ethernet-qemu "$DIR/qemu.sock"
	NETDEV=stream,id=n,addr.type=unix,addr.path=$DIR/qemu.sock
	;;
loss)
	suite --ethernet-qemu "$DIR/suite.sock"
	until [ -S "$DIR/suite.sock" ]; do
		kill -0 "$SUITE" || exit 1
	done
	"$BUILD/tests/integ/losslink" --qemu --loss 1 --delay 1000 \
	    "$DIR/qemu.sock" "$DIR/suite.sock" >/dev/null &
	NETDEV=stream,id=n,addr.type=unix,addr.path=$DIR/qemu.sock
	;;
dgram)
	suite --ethernet-dgram "$DIR/qemu.sock"
	NETDEV=dgram,id=n,local.type=unix,local.path=$DIR/own.sock
	NETDEV=$NETDEV,remote.type=unix,remote.path=$DIR/qemu.sock
	;;
esac

# Emulated unless told otherwise: a /dev/kvm that is there may still not work.
ACCEL=${ACCEL:-tcg}
until [ -S "$DIR/qemu.sock" ]; do
	kill -0 "$SUITE" || exit 1
done
timeout 300 qemu-system-x86_64 -machine q35,accel=$ACCEL -m 256 -display none \
    -nodefaults -no-reboot -serial stdio -kernel "$(kernel)" \
    -initrd "$DIR/initrd" -append "console=ttyS0 quiet panic=-1" \
    -netdev "$NETDEV" \
    -device virtio-net-pci,netdev=n \
    >"$DIR/console" 2>&1 </dev/null
echo "# accelerator $ACCEL"
check "the guest ran to its end" grep -q "GUEST done" "$DIR/console"
check "DHCP" grep -q "GUEST dhcp 192.168.65" "$DIR/console"
check "ping of the gateway" grep -q "GUEST ping ok" "$DIR/console"
check "DNS" grep -q "GUEST dns ok" "$DIR/console"
check "a download with the same hash" grep -q "GUEST sum $SUM" "$DIR/console"
check "the upload has ended" wait "$UPLOAD"
busybox tac "$DIR/www/file" >"$DIR/want"
check "an upload, byte for byte" cmp "$DIR/want" "$DIR/back"
[ "$FAILED" = 0 ] || head -n 30 "$DIR/console"
done_testing
