#!/bin/sh
# dnsloss.sh BUILD [N]: a server that loses 5 % of the queries; every one of N
# names is answered all the same.
. "$(dirname "$0")/lib.sh"

need dnsperf
N=${2:-5000}
lab
server "$BUILD/tests/integ/lossdns" $SERVER 5
suite
seq -f 'h%.0f.example A' "$N" >"$DIR/queries"
# Fewer at a time than a guest may have: what waits is what is lost.
guest -- dnsperf -s $GATEWAY -d "$DIR/queries" -n 1 -q 200 -t 8 -c 4 -T 1 \
    >"$DIR/dnsperf" 2>&1
check "nothing was lost" grep -q "Queries lost: *0 " "$DIR/dnsperf"
check "every name was answered" grep -q "NOERROR $N (100" "$DIR/dnsperf"
[ $FAILED = 0 ] || cat "$DIR/dnsperf"
done_testing
