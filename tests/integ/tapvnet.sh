#!/bin/sh
# A TAP with vnet headers, as vpnkit-tap hands it over: at an MTU of 1500 large
# frames go both ways, machines without such a card get them cut, and whoever
# has to move the frames himself does that, too.
. "$(dirname "$0")/lib.sh"

need ip jq
HAND=$BUILD/tests/integ/taphand
A=aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa
B=bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb
C=cccccccc-cccc-4ccc-8ccc-cccccccccccc

# A counter of the stack of that machine.
count() {
	status --json counters "netstackd-$1" |
	    jq --arg n "netstackd-$1" --arg c "$2" '.[$n][$c] // 0'
}

# It is more than that now.
more() {
	[ "$(count "$1" "$2")" -gt "$3" ]
}

handed() {
	[ "$(grep -c 'has handed over its TAP' "$LOG")" = "$1" ]
}

# Where a datagram is dropped, as on a busy machine it may be, all go again.
lab
suite --mtu 1500
told_as a --uuid $A
check "the TAP is handed over" eventually handed 1
check "an upload" tell_as a "$PEER" up $SERVER 7000 100000007
check "in large frames" more 1 rx-large 100
check "a download" tell_as a "$PEER" down $SERVER 7000 100000007
check "in large frames" more 1 tx-large 100
check "both at once" tell_as a "$PEER" both $SERVER 7000 10000019
check "half-close" tell_as a "$PEER" half $SERVER 7000 1000003
check "the host's loopback" tell_as a "$PEER" down $HOSTIP 7001 10000019
check "small datagrams" eventually tell_as a "$PEER" udp $SERVER 7000 100 20
check "those that fill the MTU" \
    eventually tell_as a "$PEER" udp $SERVER 7000 1472 20
check "the largest" eventually tell_as a "$PEER" udp $SERVER 7000 65507 5
check "no header was wrong" [ "$(count 1 rx-bad-vnet-header)" = 0 ]
check "nor a checksum" [ "$(count 1 rx-bad-checksum)" = 0 ]

# Other machines: one that has its frames from ethd, one with a TAP like this.
told_as b --uuid $B --relay
check "it moves its frames itself" handed 1
tell_as a "$PEER serve 0.0.0.0 8000 >$DIR/served & echo up"
tell_as a "$PEER udpserve 0.0.0.0 8000 >$DIR/udpserved & echo up"
check "a server" eventually [ -s "$DIR/served" ]
check "another one" eventually [ -s "$DIR/udpserved" ]
check "large frames to another machine" \
    tell_as b "$PEER" down $GUEST 8000 20000003
check "were cut" more 1 large-cut 10
check "the other way" tell_as b "$PEER" up $GUEST 8000 20000003
check "datagrams to it" eventually tell_as b "$PEER" udp $GUEST 8000 1472 20
told_as c --uuid $C
check "a second TAP" eventually handed 2
check "between two such" tell_as c "$PEER" both $GUEST 8000 20000003
check "datagrams between them" eventually tell_as c "$PEER" udp $GUEST 8000 1472 20
tell_as c leave

# The stack dies in mid-stream: the next one gets the TAP as it is.
before=$(count 1 rx-large)
tell_as a "($PEER up $SERVER 7000 100000000000 || echo over >$DIR/over) & echo up"
check "a stream" eventually more 1 rx-large "$before"
stack=$(pids_of netstackd | head -n 1)
kill -KILL "$stack"
check "it ends" eventually [ -s "$DIR/over" ]
before=$(count 1 tx-large)
check "new flows beside a new stack" tell_as a "$PEER" down $SERVER 7000 10000019
check "are large again" more 1 tx-large "$before"
before=$(count 1 rx-large)
check "both ways" tell_as a "$PEER" up $SERVER 7000 10000019
check "all of them" more 1 rx-large "$before"

# What nobody has asked for, and what cannot be.
mkfifo "$DIR/stay"
"$HAND" "$SOCK.admin" $B lies <"$DIR/stay" >"$DIR/said" 2>&1 &
exec 6>"$DIR/stay"
check "another TAP is taken" eventually grep -q taken "$DIR/said"
check "headers that lie are dropped" eventually more 2 rx-bad-vnet-header 2
check "all was sent" eventually grep -q sent "$DIR/said"
exec 6>&-
check "and its machine served" tell_as b "$PEER" down $SERVER 7000 1000003
check "and the other" tell_as a "$PEER" up $SERVER 7000 10000019
# The one that was killed above, by signal 9, does not count.
check "nobody fell over it" [ "$(grep -cE \
    'by the sandbox|by signal (4|6|7|8|11),|broke the protocol' "$LOG")" = 0 ]

# Nobody to hand it over to: the frames of the same TAP are moved.
tell_as b leave
suite_stop
suite --mtu 1500 --admin none
check "an upload without an admin socket" tell_as a "$PEER" up $SERVER 7000 10000019
check "a download" tell_as a "$PEER" down $SERVER 7000 10000019
check "datagrams" eventually tell_as a "$PEER" udp $SERVER 7000 1472 20
check "nothing was handed over" handed 3

# And again there is: what waits in the TAP is of the one kind or the other.
tell_as a "$PEER downfor $SERVER 7000 60000 >$DIR/down & echo up"
suite_stop
suite --mtu 1500
check "it is handed over again" eventually handed 4
before=$(count 1 rx-large)
check "an upload" tell_as a "$PEER" up $SERVER 7000 10000019
check "in large frames" more 1 rx-large "$before"
tell_as a leave
done_testing
