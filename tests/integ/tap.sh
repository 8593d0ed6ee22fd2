#!/bin/sh
# A guest whose TAP the stack has: no frame passes another process, so ethd may
# stop or die and nothing is lost; what is no TAP is refused; and whoever may
# not, or does not want to, hand it over is served as well.
. "$(dirname "$0")/lib.sh"

need ip ping
HAND=$BUILD/tests/integ/taphand
A=aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa
B=bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb

# Of ethd: frames from machines.
frames() {
	status --json counters ethd | jq '.ethd["rx-frames"] // 0'
}

handed() {
	[ "$(grep -c 'has handed over its TAP' "$LOG")" "$@" ]
}

need jq
lab
suite
told_as a --uuid $A
check "the TAP is handed over" eventually handed = 1
before=$(frames)
check "a download" tell_as a "$PEER" down $SERVER 7000 100000007
check "an upload" tell_as a "$PEER" up $SERVER 7000 100000007
check "no frame of them passed ethd" [ "$(frames)" = "$before" ]

# With ethd stopped all goes on; when it dies not a connection is lost.
ethd=$(pids_of ethd)
kill -STOP "$ethd"
check "new flows beside a stopped ethd" tell_as a "$PEER" down $SERVER 7000 1000003
check "ping beside a stopped ethd" tell_as a ping -q -c 3 -i 0.01 -W 5 $GATEWAY
mkfifo "$DIR/slow"
tell_as a "$PEER hold $SERVER 7000 $DIR/slow >$DIR/held & echo up"
kill -KILL "$ethd"
is_new() {
	p=$(pids_of ethd) && [ -n "$p" ] && [ "$p" != "$ethd" ]
}
check "ethd is there again" eventually is_new
check "new flows beside a new ethd" tell_as a "$PEER" down $SERVER 7000 1000003
: >"$DIR/slow"
check "a flow from before lives" eventually grep -q alive "$DIR/held"
again() {
	[ "$(grep -c "VM 1, $A" "$LOG")" -ge 2 ]
}
check "the machine is connected again" eventually again
check "new flows after that" tell_as a "$PEER" down $SERVER 7000 1000003

netstackd=$(pids_of netstackd)
kill -KILL "$netstackd"
check "new flows beside a new stack" tell_as a "$PEER" down $SERVER 7000 1000003
check "which has the TAP still" [ "$(frames)" = "$before" ]

# A machine that moves its frames itself, and one beside it.
told_as b --uuid $B --relay
check "nothing more was handed over" handed = 1
check "a download by ethd" tell_as b "$PEER" down $SERVER 7000 1000003
check "whose frames pass it" [ "$(frames)" -gt "$before" ]
tell_as a "$PEER serve 0.0.0.0 8000 >$DIR/served & echo up"
check "a server" eventually [ -s "$DIR/served" ]
check "from the one to the other" tell_as b "$PEER" down $GUEST 8000 10000019
check "and back" tell_as b "$PEER" up $GUEST 8000 10000019
check "ping from here to there" tell_as a ping -q -c 3 -i 0.01 -W 5 192.168.65.4

# What is no TAP.
answers() {
	got=$("$HAND" "$SOCK.admin" "$1" "$2" </dev/null)
	[ "$got" = "$3" ] || { echo "$got"; return 1; }
}
for kind in null pipe tun vnet12; do
	check "refused: $kind" answers $B $kind \
	    "this is no TAP whose frames a stack can read"
done
check "refused: a second one" answers $A tap \
    "this VM has handed over a TAP already"
check "refused: of nobody" answers cccccccc-cccc-4ccc-8ccc-cccccccccccc tap \
    "no VM with this UUID is connected"
check "and nobody was harmed" tell_as a "$PEER" down $SERVER 7000 1000003

# Somebody hands over another TAP than that machine's, and leaves again.
check "another TAP is taken" answers $B tap taken
check "and given back" tell_as b "$PEER" down $SERVER 7000 1000003

# One that its namespace loses, and another one.
mkfifo "$DIR/stay"
"$HAND" "$SOCK.admin" $B tap <"$DIR/stay" >"$DIR/said" 2>&1 &
exec 6>"$DIR/stay"
eventually grep -q taken "$DIR/said"
device=$(ip -o link show type tun | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p')
ip link del "$device"
check "a TAP that goes is noticed" eventually grep -q "the TAP is gone" "$LOG"
exec 6>&-
check "and its machine served" tell_as b "$PEER" down $SERVER 7000 1000003
check "another one is taken" eventually answers $B tap taken

# The suite ends, and another one comes, which gives addresses anew: here the
# second machine is the first that is there again.
first=$(pgrep -f "vpnkit-tap.*--uuid $A")
kill -STOP $first
suite_stop
suite
check "a new suite serves" tell_as b ping -q -c 1 -w 150 $GATEWAY
kill -CONT $first
check "and the other one" tell_as a ping -q -c 1 -w 150 $GATEWAY
check "at its address" tell_as b ping -q -c 1 -w 150 $GUEST
check "and has the TAP, too" eventually handed -ge 5
tell_as a leave
tell_as b leave
check "and not given back before its end" \
    [ "$(grep -c 'the TAP is gone' "$LOG")" -le 2 ]
check "nobody was killed for it" [ "$(grep -c 'broke the protocol' "$LOG")" = 0 ]

# One that is there again before the TAP it had is gone.
suite_stop
suite
waits() {
	[ "$(status --json counters ethd | jq '.ethd."tap-in-use"')" -ge 1 ]
}
before=$(grep -c 'has handed over its TAP' "$LOG")
told_as d --uuid $A
check "it has handed over its TAP" eventually handed -gt "$before"
guest --uuid $A -- ping -q -c 1 -w 150 $GATEWAY &
second=$!
check "and comes once more" eventually waits
tell_as d leave
check "which is served when the first has gone" wait $second

# One address, and a machine that is another one each time: the next one gets
# it, and hands over its TAP, when the first is gone.
suite_stop
suite --highest-ip $GUEST
gone=$(grep -c "VM 1 is gone" "$LOG")
check "the only address" guest -- ping -q -c 1 -w 150 $GATEWAY
is_gone() {
	[ "$(grep -c "VM 1 is gone" "$LOG")" -gt "$gone" ]
}
check "who had it is gone" eventually is_gone
before=$(grep -c 'has handed over its TAP' "$LOG")
told_as c
check "somebody else has it" tell_as c "ip addr | grep -q $GUEST/"
check "and the TAP is handed over" eventually handed -gt "$before"
check "and served" tell_as c "$PEER" down $SERVER 7000 1000003
tell_as c leave

# Without an admin socket there is nobody to ask.
suite_stop
suite --admin none
check "without an admin socket" guest -- "$PEER" down $SERVER 7000 1000003
done_testing
