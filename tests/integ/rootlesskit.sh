#!/bin/sh
# Debian's rootlesskit starts us as its own vpnkit and talks to us with the Go
# client: two connections with one UUID, one of which it never reads.  All as
# an ordinary user, so this is also the suite without root.
. "$(dirname "$0")/lib.sh"

need rootlesskit newuidmap setpriv ip
BYTES=${BYTES:-100000007}
UID_=12345

# A user of the lab's own, who may open a TAP and has subordinate ids; all of
# it only in this mount namespace.
lab_user() {
	mknod -m 666 "$DIR/tun" c 10 200
	mount --bind "$DIR/tun" /dev/net/tun
	touch /etc/subuid /etc/subgid
	for f in passwd group subuid subgid; do
		cp "/etc/$f" "$DIR/$f"
		mount --bind "$DIR/$f" "/etc/$f"
	done
	echo "rktest:x:$UID_:$UID_::$DIR/home:/bin/sh" >>/etc/passwd
	echo "rktest:x:$UID_:" >>/etc/group
	echo "rktest:300000:65536" >>/etc/subuid
	echo "rktest:300000:65536" >>/etc/subgid
	mkdir "$DIR/home" "$DIR/bin"
	chown $UID_:$UID_ "$DIR/home"
	cp "$VPNKIT" "$PEER" "$DIR/bin"
	for d in ethd netstackd dnsd proxyd portd; do
		cp "$BUILD/$d/$d" "$DIR/bin"
	done
	chmod 755 "$DIR"/bin/*
}

rk() {
	mtu=$1
	shift
	rm -rf "$DIR/home/state"
	setpriv --reuid $UID_ --regid $UID_ --clear-groups env -i \
	    PATH="$PATH" HOME="$DIR/home" USER=rktest \
	    XDG_RUNTIME_DIR="$DIR/home" VPNKIT_LIBEXECDIR="$DIR/bin" \
	    rootlesskit --state-dir="$DIR/home/state" --net=vpnkit \
	    --mtu="$mtu" --vpnkit-binary="$DIR/bin/vpnkit" "$@" 2>>"$LOG"
}

lab
lab_user
PEER=$DIR/bin/peer
: >"$LOG"
chmod 666 "$LOG"
for mtu in 1500 65520; do
	check "mtu $mtu: the address it learnt" rk "$mtu" \
	    sh -c 'ip -4 addr show tap0 | grep -q "inet 192.168.65.3/24"'
	check "mtu $mtu: a download" rk "$mtu" "$PEER" down $SERVER 7000 "$BYTES"
	check "mtu $mtu: an upload" rk "$mtu" "$PEER" up $SERVER 7000 "$BYTES"
	check "mtu $mtu: the host's loopback" rk "$mtu" \
	    "$PEER" down $HOSTIP 7001 1000003
	check_not "mtu $mtu: not the host's loopback when disabled" \
	    rk "$mtu" --disable-host-loopback \
	    timeout 5 "$PEER" down $HOSTIP 7001 1000003
	check "mtu $mtu: the rest when the loopback is disabled" \
	    rk "$mtu" --disable-host-loopback \
	    "$PEER" down $SERVER 7000 1000003
done
check "no daemon was killed by its sandbox" sh -c "! grep -q SIGSYS '$LOG'"
done_testing
