#!/bin/sh
# rootlesskit.sh BUILD: rootlesskit starts us as its own vpnkit,
# learns its address with the Go client over one connection, which it then
# keeps open and never reads, and attaches a TAP over a second one with the
# same UUID.  It is built from Debian's package of its source; why not Debian's
# own build, says rootlesskit/build.sh.
# All as an ordinary user: this is also the suite without root.
. "$(dirname "$0")/lib.sh"

BYTES=${BYTES:-100000007}
USERID=12345

# A user of the lab's own, who may open a TAP and has subordinate ids; all of
# it only in this mount namespace.
lab_user() {
	mknod -m 666 "$DIR/tun" c 10 200
	mount --bind "$DIR/tun" /dev/net/tun
	for f in passwd group subuid subgid; do
		cp "/etc/$f" "$DIR/$f" 2>/dev/null || touch "/etc/$f" "$DIR/$f"
		mount --bind "$DIR/$f" "/etc/$f"
	done
	echo "rktest:x:$USERID:$USERID::$DIR/home:/bin/sh" >>/etc/passwd
	echo "rktest:x:$USERID:" >>/etc/group
	echo "rktest:300000:65536" >>/etc/subuid
	echo "rktest:300000:65536" >>/etc/subgid
	mkdir "$DIR/home" "$DIR/bin"
	chown $USERID:$USERID "$DIR/home"
	cp "$VPNKIT" "$PEER" "$DIR/bin"
	for d in ethd netstackd dnsd proxyd portd; do
		cp "$BUILD/$d/$d" "$DIR/bin"
	done
	chmod 755 "$DIR"/bin/*
}

as_user() {
	setpriv --reuid $USERID --regid $USERID --clear-groups env -i \
	    PATH="$PATH" HOME="$DIR/home" USER=rktest \
	    XDG_RUNTIME_DIR="$DIR/home" VPNKIT_LIBEXECDIR="$DIR/bin" \
	    ASAN_OPTIONS="${ASAN_OPTIONS:-}" "$@"
}

rk() {
	rm -rf "$DIR/home/state"
	as_user "$DIR/bin/rootlesskit" --state-dir="$DIR/home/state" --net=vpnkit \
	    --mtu="$mtu" --vpnkit-binary="$DIR/bin/vpnkit" "$@" 2>>"$LOG"
}

need setpriv ip
: >"$LOG"
chmod 666 "$LOG"
lab
lab_user
PEER=$DIR/bin/peer
need go newuidmap
[ -d /usr/share/gocode/src/github.com/rootless-containers/rootlesskit ] ||
    skip "needs golang-github-rootless-containers-rootlesskit-dev"
"$HERE/rootlesskit/build.sh" "$BUILD/rootlesskit" >>"$LOG" 2>&1 || {
	tail "$LOG"
	exit 1
}
cp "$BUILD/rootlesskit/rootlesskit" "$DIR/bin"

for mtu in 1500 65520; do
	check "mtu $mtu: the address it learnt" rk \
	    sh -c 'ip -4 addr show tap0 | grep -q "inet 192.168.65.3/24"'
	check "mtu $mtu: a download" rk "$PEER" down $SERVER 7000 "$BYTES"
	check "mtu $mtu: an upload" rk "$PEER" up $SERVER 7000 "$BYTES"
	check "mtu $mtu: the host's loopback" rk \
	    "$PEER" down $HOSTIP 7001 1000003
	check_not "mtu $mtu: not the host's loopback when disabled" \
	    rk --disable-host-loopback \
	    timeout 5 "$PEER" down $HOSTIP 7001 1000003
	check "mtu $mtu: the rest when the loopback is disabled" \
	    rk --disable-host-loopback \
	    "$PEER" down $SERVER 7000 1000003
done
check "no daemon was killed by its sandbox" sh -c "! grep -q sandbox: '$LOG' ||
    ! grep -q 'killed by the sandbox' '$LOG'"
done_testing
