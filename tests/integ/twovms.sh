#!/bin/sh
# Two real kernels at once: each reaches the outside, and they reach each other
# through the switch.
. "$(dirname "$0")/lib.sh"

BYTES=${BYTES:-200000003}
need ip ping

lab
suite
mkfifo "$DIR/go" "$DIR/first"
# The first guest serves the second one, then waits to be told to leave.
guest --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa -- sh -c '
	"$1" serve 0.0.0.0 8000 >"$2/first" &
	server=$!
	"$1" down 192.0.2.1 7000 "$3" >"$2/first.out" 2>&1
	echo $? >"$2/first.status"
	read -r _go <"$2/go"
	kill $server' - "$PEER" "$DIR" "$BYTES" &
FIRST=$!
read -r _ready <"$DIR/first"
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
check "ping of the other VM" ping -q -c 3 -i 0.01 -W 2 192.168.65.3
check "ping of the other VM, 1472 bytes" ping -q -c 3 -i 0.01 -M do -s 1472 \
    -W 2 192.168.65.3
check "TCP from the other VM" "$1" down 192.168.65.3 8000 "$2"
check "TCP to the other VM" "$1" up 192.168.65.3 8000 "$2"
exit $FAILED
E2
guest --uuid bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb -- \
    sh "$DIR/second.sh" "$PEER" "$BYTES" || FAILED=1
# A signal may interrupt the shell while it waits for the other end.
until echo go 2>/dev/null >"$DIR/go"; do :; done
check "the first guest leaves" wait "$FIRST"
check "the first reached the outside meanwhile" grep -qx 0 "$DIR/first.status"
done_testing
