#!/bin/sh
# dnsloss.sh BUILD [N]: a server that loses 5 % of the queries and 5 % of its
# answers; every one of N names is answered all the same.  And one that lies.
. "$(dirname "$0")/lib.sh"

need dnsperf
N=${2:-5000}
lab
server "$BUILD/tests/integ/lossdns" $SERVER 5 5
suite --dns "$DIR/dns.conf"
seq -f 'h%.0f.example A' "$N" >"$DIR/queries"
# Fewer at a time than a guest may have: what waits is what is lost.
guest -- dnsperf -s $GATEWAY -d "$DIR/queries" -n 1 -q 200 -t 60 -c 4 -T 1 \
    >"$DIR/dnsperf" 2>&1
check "nothing was lost" grep -q "Queries lost: *0 " "$DIR/dnsperf"
check "every name was answered" grep -q "NOERROR $N (100" "$DIR/dnsperf"
[ $FAILED = 0 ] || cat "$DIR/dnsperf"
check_not "nor was the server taken for dead" \
    grep -q 'does not answer' "$LOG"

# Lies come first: from another port, another address, with another id, to
# another question.
ip addr add 192.0.2.2/24 dev ext0
ip addr add 192.0.2.3/24 dev ext0
server "$BUILD/tests/integ/lossdns" 192.0.2.2 lies 192.0.2.3
echo "nameserver 192.0.2.2" >"$DIR/dns.conf"
suite --dns "$DIR/dns.conf"
seq -f 'l%.0f.example' 50 >"$DIR/names"
lies() {
	guest -- dig +short +tries=1 +time=30 -f "$DIR/names" >"$DIR/said"
	[ "$(sort "$DIR/said" | uniq -c | tr -s ' ')" = " 50 198.51.100.7" ] ||
	    { sort "$DIR/said" | uniq -c; return 1; }
}
check "no lie is believed" lies
kill -USR1 "$SUITE"
# Two of the four come from where the answer does, each time it is asked.
told() {
	lies=$(sed -n 's/.*counters dnsd.*dropped-wrong-answer=\([0-9]*\).*/\1/p' \
	    "$LOG" | tail -n 1)
	[ "${lies:-0}" -ge 100 ]
}
check "they were told" eventually told
done_testing
