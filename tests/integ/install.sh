#!/bin/sh
# What `meson install` leaves behind, and that it runs from there.
. "$(dirname "$0")/lib.sh"

need meson pgrep
ROOT=$DIR/root
DOCS=$HERE/../../docs
DAEMONS="ethd netstackd dnsd proxyd portd diagd"

lab
meson install -C "$BUILD" --no-rebuild --quiet --destdir "$ROOT" \
    >"$DIR/install.log" 2>&1 || {
	cat "$DIR/install.log"
	exit 1
}

# The folders are the builder's choice.
one() {
	find "$ROOT" ! -type d -path "$1"
}

VPNKIT=$(one '*/bin/vpnkit')
BIN=$(dirname "$VPNKIT")
TAP=$BIN/vpnkit-tap
SLIRP=$BIN/com.docker.slirp
VPNKIT_LIBEXECDIR=$(dirname "$(one '*/vpnkit/portd')")
export VPNKIT_LIBEXECDIR

check "vpnkit is a program" [ -f "$VPNKIT" -a -x "$VPNKIT" ]
check "vpnkit-tap is a program" [ -f "$TAP" -a -x "$TAP" ]
check "com.docker.slirp is vpnkit" [ "$(readlink "$SLIRP")" = vpnkit ]
for d in $DAEMONS; do
	check "$d is a program" [ -x "$VPNKIT_LIBEXECDIR/$d" ]
done
check "nothing else is beside them" \
    [ "$(ls "$VPNKIT_LIBEXECDIR" | wc -l)" = "$(echo $DAEMONS | wc -w)" ]
for page in "$DOCS"/*.[1-8]; do
	page=$(basename "$page")
	check "manual page $page" [ -s "$(one "*/man${page##*.}/$page")" ]
done

check "com.docker.slirp --version" "$SLIRP" --version
check_not "vpnkit without arguments" "$VPNKIT"
status=0
"$VPNKIT" >"$DIR/usage" 2>&1 || status=$?
check "its status is 1" [ $status = 1 ]
check "it asks for --ethernet" \
    grep -q "Please provide an --ethernet argument" "$DIR/usage"

suite --pcap "$DIR/pcap.sock"
check "a guest of what was installed" guest -- \
    "$PEER" down $SERVER 7000 10000019
eventually status show >/dev/null 2>&1
for d in $DAEMONS; do
	check "$d runs from there" sh -c "
		readlink /proc/$(pids_of "$d" | head -n 1)/exe |
		    grep -qx '$VPNKIT_LIBEXECDIR/$d'"
done
suite_stop
done_testing
