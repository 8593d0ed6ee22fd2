#!/bin/sh
# Two real kernels at once: each reaches the outside, and they reach each other
# through the switch.
. "$(dirname "$0")/lib.sh"

BYTES=${BYTES:-200000003}
need ip ping

lab
suite
mkfifo "$DIR/first"
# The first guest serves the second one.
told_guest --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa
tell "$PEER serve 0.0.0.0 8000 >$DIR/first & echo \$! >$DIR/server"
check "the first serves" line_of "$DIR/first"
tell "($PEER down $SERVER 7000 $BYTES; echo \$? >$DIR/new;" \
    "mv $DIR/new $DIR/status) &"
cat >"$DIR/second.sh" <<'E2'
FAILED=0
check() {
	what=$1
	shift
	if out=$("$@" 2>&1); then echo "ok   $what"; else
		echo "FAIL $what: $out"
		FAILED=1
	fi
}
check "the second has the next address" sh -c \
    'ip -4 addr show tap0 | grep -q "inet 192.168.65.4/24"'
check "the second reaches the outside" "$1" down 192.0.2.1 7000 "$2"
check "ping of the other VM" ping -q -c 3 -i 0.01 -W 20 192.168.65.3
check "ping of the other VM, 1472 bytes" ping -q -c 3 -i 0.01 -M do -s 1472 \
    -W 20 192.168.65.3
check "TCP from the other VM" "$1" down 192.168.65.3 8000 "$2"
check "TCP to the other VM" "$1" up 192.168.65.3 8000 "$2"
exit $FAILED
E2
guest --uuid bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb -- \
    sh "$DIR/second.sh" "$PEER" "$BYTES" || FAILED=1
eventually [ -e "$DIR/status" ]
check "the first has reached the outside meanwhile" grep -qx 0 "$DIR/status"
tell "kill \$(cat $DIR/server)"
check "the first guest leaves" told_leave
done_testing
