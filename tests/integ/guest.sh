#!/bin/sh
# A real kernel as guest, in a network namespace on a TAP: everything the main
# job promises, once for each MTU.  BYTES is the size of a big transfer.
. "$(dirname "$0")/lib.sh"

BYTES=${BYTES:-1000000007}
need ip ping pgrep dig

lab
lab_dns

for MTU in ${MTUS:-1500 65521 576}; do
	echo "# mtu $MTU"
	suite --mtu "$MTU"
	guest --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa -- \
	    sh "$HERE/guest_inside.sh" "$PEER" "$BYTES" "$MTU" || FAILED=1
	check "the suite still runs" kill -0 "$SUITE"
	[ "$MTU" = 1500 ] || BYTES=$((BYTES / 10))
done
done_testing
