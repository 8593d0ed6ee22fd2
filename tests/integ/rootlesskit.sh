#!/bin/sh
# rootlesskit.sh BUILD real|played: rootlesskit starts us as its own vpnkit,
# learns its address with the Go client over one connection, which it then
# keeps open and never reads, and attaches a TAP over a second one with the
# same UUID.  Debian builds rootlesskit without that network; then "real" is
# skipped, and "played" does the same steps with goclient and vpnkit-tap.
# All as an ordinary user: this is also the suite without root.
. "$(dirname "$0")/lib.sh"

MODE=$2
BYTES=${BYTES:-100000007}
USERID=12345
UUID=cccccccc-cccc-4ccc-8ccc-cccccccccccc

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
	cp "$VPNKIT" "$TAP" "$PEER" "$BUILD/tests/integ/goclient" "$DIR/bin"
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

rk_real() {
	rm -rf "$DIR/home/state"
	as_user rootlesskit --state-dir="$DIR/home/state" --net=vpnkit \
	    --mtu="$mtu" --vpnkit-binary="$DIR/bin/vpnkit" "$@" 2>>"$LOG"
}

# The same calls, the same order, the same two connections.
rk_played() {
	hostip=
	if [ "$1" = --disable-host-loopback ]; then
		hostip="--host-ip 0.0.0.0"
		shift
	fi
	rm -f "$DIR/home/s" "$DIR/stdin" "$DIR/stdout"
	mkfifo "$DIR/stdin" "$DIR/stdout"
	# shellcheck disable=SC2086
	as_user "$DIR/bin/vpnkit" --ethernet "$DIR/home/s" --mtu "$mtu" \
	    $hostip 2>>"$LOG" &
	played=$!
	as_user "$DIR/bin/goclient" "$DIR/home/s" $UUID <"$DIR/stdin" \
	    >"$DIR/stdout" 2>>"$LOG" &
	exec 5>"$DIR/stdin" 4<"$DIR/stdout"
	read -r address <&4
	[ "$address" = 192.168.65.3 ] || echo "address '$address'"
	as_user "$DIR/bin/vpnkit-tap" --socket "$DIR/home/s" --uuid $UUID \
	    -- "$@" 2>>"$LOG"
	ret=$?
	exec 5>&- 4<&-
	# rootlesskit's child dies of SIGKILL with its parent.
	kill -9 $played
	wait $played 2>/dev/null
	return $ret
}

need setpriv ip
: >"$LOG"
chmod 666 "$LOG"
lab
lab_user
PEER=$DIR/bin/peer
if [ "$MODE" = real ]; then
	need rootlesskit newuidmap
	mtu=1500
	rk_real true
	! grep -q "not supported in this Debian package" "$LOG" ||
	    skip "this rootlesskit was built without --net=vpnkit"
fi

for mtu in 1500 65520; do
	check "mtu $mtu: the address it learnt" "rk_$MODE" \
	    sh -c 'ip -4 addr show tap0 | grep -q "inet 192.168.65.3/24"'
	check "mtu $mtu: a download" "rk_$MODE" "$PEER" down $SERVER 7000 "$BYTES"
	check "mtu $mtu: an upload" "rk_$MODE" "$PEER" up $SERVER 7000 "$BYTES"
	check "mtu $mtu: the host's loopback" "rk_$MODE" \
	    "$PEER" down $HOSTIP 7001 1000003
	check_not "mtu $mtu: not the host's loopback when disabled" \
	    "rk_$MODE" --disable-host-loopback \
	    timeout 5 "$PEER" down $HOSTIP 7001 1000003
	check "mtu $mtu: the rest when the loopback is disabled" \
	    "rk_$MODE" --disable-host-loopback \
	    "$PEER" down $SERVER 7000 1000003
done
check "no daemon was killed by its sandbox" sh -c "! grep -q sandbox: '$LOG' ||
    ! grep -q 'killed by the sandbox' '$LOG'"
done_testing
