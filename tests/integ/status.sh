#!/bin/sh
# vpnkit-status beside a running suite: what each subcommand says against what
# the guest did, and that nobody else may ask.
. "$(dirname "$0")/lib.sh"

need ip jq script tshark pgrep dig
UUID=aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa

lab
lab_dns
check "without a suite: status 2" exits 2 status show
suite
mkfifo "$DIR/hold"
told_guest --uuid $UUID

# Who may ask.
check "the socket's mode is 600" [ "$(stat -c %a "$SOCK.admin")" = 600 ]
chmod 777 "$SOCK.admin"
check "another user is refused by his credentials" exits 2 \
    setpriv --reuid=65534 --clear-groups "$STATUS" -s "$SOCK" show
check "and it is said" grep -q "admin socket: user 65534 is refused" "$LOG"
chmod 600 "$SOCK.admin"

# show
check "show" comes '.healthy and .version != ""' show
check "all processes are there" comes '(["dnsd","ethd","netstackd-1","portd",
    "proxyd","vpnkit"] - [.processes[].name]) == []'
for d in ethd netstackd dnsd portd; do
	check "$d's pid" comes \
	    ".processes[] | select(.role == \"$d\") | .pid == $(pids_of $d)"
done
check "the layers of a reader" comes '.processes[] | select(.role == "netstackd")
    | .sandbox | index("seccomp") and index("net-ns")'
check "memory is known" comes '[.processes[].memory > 0] | all'
check "the VM's lease" comes ".vms == [.vms[0]] and .vms[0].uuid == \"$UUID\" and
    .vms[0].address == \"$GUEST\" and (.vms[0].mac | startswith(\"02:50:\"))"
check "as a table" sh -c "'$STATUS' -s '$SOCK' | grep -q '^netstackd-1  *[0-9]'"
check "no colours off a terminal" sh -c "! '$STATUS' -s '$SOCK' | grep -q '\[1m'"
check "colours on one" sh -c \
    "TERM=xterm script -qec '$STATUS -s $SOCK' /dev/null | grep -q '\[1m'"

# flows, against what was sent.
check "10,000,000 bytes to the guest" tell "$PEER down $SERVER 7000 10000000"
check "flows has them" comes \
    '.flows[] | select(.remote == "192.0.2.1:7000") | .["bytes-received"] == 10000000' flows
check "the VM's traffic is no less" comes \
    '.vms[0]["bytes-to-guest"] >= 10000000' show
check "5,000,000 bytes from the guest" tell "$PEER up $SERVER 7000 5000000"
# The guest closed first, so the flow is soon among those that have ended.
check "explain has them" comes '[.flows[]?, .ended[] |
    select(.["bytes-sent"] >= 5000000 and .["bytes-sent"] < 5000100)] |
    length == 1' explain "$SERVER:7000"
check "a refused connection" tell "$PEER refused $SERVER 9"
check "explain tells why" comes \
    '[.ended[] | select(.remote == "192.0.2.1:9" and .["ended-by"] == "refused")] |
    length >= 1' explain 192.0.2.1:9
check "a connect that waits" tell "$PEER unreach 198.51.100.7 80 3000 & :"
check "is limited by dial" comes '[.flows[] | select(.remote == "198.51.100.7:80") |
    .["limited-by"] == "dial"] == [true]' flows
check "no such flow: status 3" exits 3 status explain 203.0.113.9
check "a wrong word: status 1" exits 1 status frobnicate

# A stream nobody reads: the guest's window, and then the host's buffer.
check "a held connection" tell \
    "$PEER hold $SERVER 7000 $DIR/hold >$DIR/up & echo held"
check "is established, with round trips" comes '[.flows[] |
    select(.state == "ESTABLISHED" and .["rtt-guest"] > 0)] | length == 1' flows

# counters
check "counters" comes '.["netstackd-1"]["rx-frames"] > 50 and
    .portd["tcp-opened"] >= 3' counters
check "of one process" comes 'keys == ["portd"]' counters portd
check "nobody of that name: status 3" exits 3 status counters nobody

# dns
tell "dig +short one.example" >/dev/null
check "dns: the server, asked and answering" comes '.servers ==
    [.servers[0]] and (.servers[0] | .server == "192.0.2.1#53" and .answers and
    .asked >= 1 and .answered >= 1 and .latency > 0 and
    .latency <= .["latency-max"])' dns
check "and the query" comes '[.queries[] | select(.name == "one.example" and
    .type == "A" and .answer == "NOERROR" and .vm == 1 and
    .by == "192.0.2.1#53")] | length >= 1' dns
tell "dig +short host.internal" >/dev/null
check "a name of our own" comes '.queries[0] | .by == "here" and
    .name == "host.internal"' dns
check "as a table" sh -c "'$STATUS' -s '$SOCK' dns |
    grep -q '^192.0.2.1#53 .* ok '"
tell "$PEER unreach 198.51.100.1 80 3000 & :"
check "in flows" comes '[.flows[] | select(.remote == "198.51.100.1:80") |
    .name == "one.example"] == [true]' flows
check "explain finds it by that name" comes '[.flows[], .ended[]] |
    length >= 1' explain one.example

tell "dig +short '\\033[2J\\007x.one.example'; true" >/dev/null
check "a name full of control characters is escaped" comes \
    '.queries[0].name | test("^.[0-9]{3}.0912J.007x[.]one[.]example$")' dns
check "in the table, too" sh -c "'$STATUS' -s '$SOCK' dns | tr -d '\n' |
    LC_ALL=C grep -q '[^ -~]' && exit 1 || exit 0"

# capture
check "the last packets as pcapng" status capture --last -w "$DIR/last.pcapng"
check "tshark reads them" sh -c \
    "tshark -r '$DIR/last.pcapng' 2>/dev/null | grep -q 192.0.2.1"
tell "dig +short one.example" >/dev/null
check "those of DNS" status capture --ring dns -w "$DIR/dns.pcapng"
check "tshark finds the question and the answer" sh -c \
    "tshark -r '$DIR/dns.pcapng' 2>/dev/null | grep -c 'A one.example' | grep -q '^[2-9]'"
check "what was dropped, and why" eventually sh -c "
	'$STATUS' -s '$SOCK' capture --ring bad -w '$DIR/bad.pcapng' &&
	tshark -r '$DIR/bad.pcapng' -T fields -e frame.comment 2>/dev/null |
	    grep -q 'dropped: rx-ethertype'"
mkfifo "$DIR/live"
status capture --proto icmp --count 6 -w "$DIR/live" 2>"$DIR/live.err" &
CAPTURE=$!
tshark -r - -n <"$DIR/live" >"$DIR/live.txt" 2>"$DIR/tshark.err" &
TSHARK=$!
until grep -q capturing "$DIR/live.err" 2>/dev/null; do :; done
tell "ping -q -c 3 -i 0.01 192.168.65.1" >/dev/null
check "a live capture ends at its count" wait $CAPTURE
check "tshark had it live" eventually sh -c \
    "[ \$(grep -c 'ICMP.*Echo' '$DIR/live.txt') = 6 ]"
check "a capture needs a file" sh -c \
    "script -qec '$STATUS -s $SOCK capture' /dev/null | grep -q 'not for a terminal'"

# metrics
status metrics >"$DIR/metrics"
if /usr/bin/python3 -c 'import prometheus_client' 2>/dev/null; then
	check "OpenMetrics by a real parser" /usr/bin/python3 -c '
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
s = {}
for f in text_string_to_metric_families(open(sys.argv[1]).read()):
    for x in f.samples:
        s[x.name, x.labels.get("process")] = x.value
assert s["vpnkit_process_up", "ethd"] == 1
assert s["vpnkit_netstackd_rx_frames_total", "netstackd-1"] > 50
assert s["vpnkit_process_restarts_total", "portd"] == 0
' "$DIR/metrics"
else
	echo "skip OpenMetrics: python3-prometheus-client is not installed"
fi

# top, in a terminal.
mkfifo "$DIR/keys"
TERM=xterm script -qec "stty cols 200 rows 40; $STATUS -s $SOCK top" /dev/null \
    <"$DIR/keys" >"$DIR/top.out" 2>&1 &
TOP=$!
exec 5>"$DIR/keys"
check "top shows a flow" eventually grep -q "192.0.2.1:7000" "$DIR/top.out"
printf b >&5
check "b sorts by bytes" eventually grep -q "by bytes" "$DIR/top.out"
printf q >&5
check "q ends it" wait $TOP
exec 5>&-
check "the terminal is as it was" sh -c "tail -c 200 '$DIR/top.out' | grep -q '1049l'"
check "top needs a terminal" exits 1 status top

# With a supervisor that does not answer it can be ended, and cleans up.
TERM=xterm script -qec "stty cols 200 rows 50; $STATUS -s $SOCK top" /dev/null \
    <"$DIR/keys" >"$DIR/top.out" 2>&1 &
TOP=$!
exec 5>"$DIR/keys"
check "top again" eventually grep -q "192.0.2.1:7000" "$DIR/top.out"
kill -STOP "$SUITE"
: >"$DIR/top.out"
printf ' ' >&5 # a look, now
waiting() {
	grep -q epoll "/proc/$(pgrep -x vpnkit-status)/wchan"
}
check "it waits for an answer" eventually waiting
printf '\003' >&5
check "^C ends it" exits 130 wait $TOP
kill -CONT "$SUITE"
exec 5>&-
check "the terminal is as it was" grep -q '1049l' "$DIR/top.out"

# log, reload, restart.
check "log debug of one" status log debug ethd
check "is shown" comes '.processes[] | select(.name == "ethd") |
    .["log-level"] == "debug"' show
check "others are as before" says '.processes[] | select(.name == "dnsd") |
    .["log-level"] == "info"' show
check "log of nobody: status 3" exits 3 status log debug nobody
check "log of an unknown level: status 1" exits 1 status log loud
# What a look tells each process, to see whether it answers, is the level it has.
check "log debug of the supervisor" status log debug vpnkit
look() {
	says '.processes | length > 5' show && [ $(($(date +%s) - $1)) -ge 2 ]
}
check "and two seconds of looks later" eventually look "$(date +%s)"
check "of nobody else" says '[.processes[] | select(.["log-level"] == "debug") |
    .name] | sort == ["ethd", "vpnkit"]' show
check_not "and they do as told" grep -q 'dnsd: log level' "$LOG"
check "log info of all" status log info
check "reload" status reload
OLD=$(pids_of netstackd)
check "restart" status restart netstackd-1
check "it is another process" comes ".processes[] |
    select(.name == \"netstackd-1\") | .pid > 0 and .pid != $OLD and
    .state == \"up\" and .restarts == 1 and (.[\"last-end\"] | test(\"administrator\"))" show
check "the log points to its packets" grep -q \
    "netstackd-1: its last packets are kept" "$LOG"
check "which are still there" sh -c "
	'$STATUS' -s '$SOCK' capture --ring dns -w '$DIR/after.pcapng' &&
	tshark -r '$DIR/after.pcapng' 2>/dev/null | grep -q 'A one.example'"
check "restart of nobody: status 3" exits 3 status restart nobody
kill -STOP "$(pids_of dnsd)"
kill -9 "$(pids_of proxyd)"
kill -CONT "$(pids_of dnsd)"
check "a killed one comes back, and it is known why" comes '.processes[] |
    select(.name == "proxyd") | .restarts == 1 and .state == "up" and
    (.["last-end"] | test("signal 9"))' show

# A client that asks and never reads holds nobody up.
check "the suite still serves" tell "$PEER down $SERVER 7000 1000003"
check "the guest leaves" told_leave
suite_stop
check "the socket is gone with the suite" [ ! -e "$SOCK.admin" ]
suite --admin none
guest -- true
check_not "--admin none: no socket" [ -e "$SOCK.admin" ]
suite_stop
done_testing
