#!/bin/sh
# What a guest may cost: ten thousand connections that leave nothing behind,
# destinations that never answer, floods, and limits that bite without harm.
. "$(dirname "$0")/lib.sh"

need ip ping pgrep prlimit
CROWD=$BUILD/tests/integ/crowd
FLOOD=$BUILD/tests/integ/flood
SERVER2=192.0.2.2
NOWHERE=198.51.100.1
NOFILE=$(ulimit -Hn)
[ "$NOFILE" != unlimited ] || NOFILE=1048576
# What ASan keeps of freed memory would count as the suite's.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1"

guest_start() {
	suite "$@"
	told_guest --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa
	# Every daemon has done some work by then.
	tell "$PEER down $SERVER 7000 1000003 && ping -q -c 1 $GATEWAY"
}

guest_stop() {
	told_leave
	suite_stop
}

# --- a crowd inside the guest ------------------------------------------------
# crowd WORD...: starts one; its first answer is in $said.
crowd() {
	mkfifo "$DIR/in" "$DIR/out.crowd"
	tell "$CROWD $* <$DIR/in >$DIR/out.crowd &"
	exec 7>"$DIR/in" 8<"$DIR/out.crowd"
	rm "$DIR/in" "$DIR/out.crowd"
	read -r said <&8
}

order() {
	echo "$*" >&7
	read -r said <&8
}

# The same outside the guest.
crowd_here() {
	mkfifo "$DIR/in" "$DIR/out.crowd"
	"$CROWD" "$@" <"$DIR/in" >"$DIR/out.crowd" 5>&- 6<&- &
	exec 7>"$DIR/in" 8<"$DIR/out.crowd"
	rm "$DIR/in" "$DIR/out.crowd"
	read -r said <&8
}

# obeys ORDER ANSWER
obeys() {
	order "$1"
	[ "$said" = "$2" ]
}

opens_one() {
	obeys "open 1" "up 1 0 0"
}

crowd_gone() {
	exec 7>&-
	read -r said <&8
	exec 8<&-
}

# The n-th word of what the crowd said.
word() {
	echo "$said" | cut -d ' ' -f "$1"
}

# --- what the suite uses -------------------------------------------------------
# Its heap in kB; the arenas are of a fixed size and shared.
heap() {
	for pid in $(members); do
		echo "$(cat "/proc/$pid/comm") $(sed -n \
		    's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")"
	done | sort
}

# heap_within OLD NEW KB: no process has grown by more.
heap_within() {
	printf '%s\n%s\n' "$1" "$2" | awk -v room="$3" '
	$1 in was && $2 > was[$1] + room {
		print $1 " grew from " was[$1] " to " $2 " kB"
		bad = 1
	}
	!($1 in was) { was[$1] = $2 }
	END { exit bad }'
}

# Hundredths of a second of CPU time, a line for each process.
ticks() {
	for pid in $(members); do
		echo "$(cat "/proc/$pid/comm") $(sed 's/.*) //' \
		    "/proc/$pid/stat" | awk '{ print $12 + $13 }')"
	done | sort
}

# While the guest pings once in 100 ms for a second nobody spins.
nobody_spins() {
	before=$(ticks)
	tell "ping -q -c 11 -i 0.1 -W 20 $GATEWAY" || return 1
	heap_within "$before" "$(ticks)" 30
}

# counter DAEMON NAME: its value in an answer to SIGUSR1 that is new.  A line
# is one process's; each daemon has something to count.
counter() {
	was=$(grep -c "counters $1" "$LOG")
	kill -USR1 "$SUITE"
	eventually sh -c "[ \$(grep -c 'counters $1' $LOG) -gt $was ]"
	grep "counters $1" "$LOG" | tail -n 2 |
	    sed -n "s/.* $2=\([0-9]*\).*/\1/p" | tail -n 1
}

counted() {
	value=$(counter "$1" "$2")
	echo "$1 $2=${value:-0}"
	[ "${value:-0}" -gt 0 ]
}

# flooded DAEMON COUNTER FLOOD...: the TAP drops what comes faster than it is
# read, so what one flood does not reach another one does.
flooded() {
	counted "$1" "$2" && return
	shift 2
	tell "$FLOOD $*"
	return 1
}

# A datagram may be dropped while a flood is being worked off.
works() {
	check "TCP $1" tell "$PEER down $SERVER 7000 10000019"
	check "UDP $1" eventually \
	    tell "PEER_WAIT=5000 $PEER udp $SERVER 7000 1400 20"
}

lab
ip addr add $SERVER2/24 dev ext0
# Two rounds of connections leave their ports in TIME-WAIT.
sysctl -qw net.ipv4.ip_local_port_range="1024 65000"
server "$CROWD" serve 7100 $SERVER $SERVER2

# --- many connections ----------------------------------------------------------
MANY=10000
if [ "$NOFILE" -lt 14000 ]; then
	# One destination gets three quarters of what a stack may have.
	MANY=$((NOFILE * 7 / 10 - 100))
	echo "# only $MANY connections: the limit on descriptors is $NOFILE"
fi
guest_start
fds0=$(fds_settled)
heap0=$(heap)
for round in 1 2; do
	crowd hold 7100 $MANY $SERVER $SERVER2
	check "$MANY connections at once, round $round" \
	    [ "$said" = "up $MANY 0 0" ]
	check "TCP beside them" tell "$PEER down $SERVER 7000 10000019"
	order check
	check "every one of them carries a byte" [ "$said" = "alive $MANY" ]
	crowd_gone
	check "all descriptors are given back" eventually fds_back "$fds0"
	eval "heap$round=\$(heap)"
done
# What malloc keeps of 10,000 flows, a kB or two each, may stay.  The allocator
# of a sanitizer keeps what was freed on purpose, more or less of it by chance:
# there the release has to answer for memory.
if grep -q 'SANITIZER_CALLS 0' "$BUILD/config.h"; then
	# shellcheck disable=SC2154
	check "memory is near the start" heap_within "$heap0" "$heap2" 24576
	# shellcheck disable=SC2154
	check "the second round costs nothing more" \
	    heap_within "$heap1" "$heap2" 4096
fi
echo "# heap in kB:" $heap0 / $heap1 / $heap2
works "after them"
guest_stop

# --- destinations that never answer, and floods -----------------------------------
guest_start
crowd pending 81 1000 $NOWHERE 250
check "1,000 connects to nowhere" [ "$said" = "pending 1000" ]
works "beside 1,000 connects to nowhere"
crowd_gone
check "20,000 SYNs to one black hole" tell "$FLOOD syn $NOWHERE 1 20000"
works "after SYNs to one black hole"
check "40,000 SYNs to 250 black holes" tell "$FLOOD syn $NOWHERE 250 40000"
works "after SYNs to 250 black holes"
check "those that made room were counted" \
    eventually flooded netstackd tcp-evicted syn $NOWHERE 250 40000
check "datagrams to 5,000 destinations" tell "$FLOOD udp $NOWHERE 250 5000"
works "after datagrams to 5,000 destinations"
check "datagrams to 20,000 destinations" tell "$FLOOD udp $NOWHERE 250 20000"
works "after datagrams to 20,000 destinations"
check "the limit of UDP flows was counted" \
    eventually flooded netstackd udp-limit udp $NOWHERE 250 20000
check "20,000 fragments that never fit" tell "$FLOOD frag $SERVER 1 20000"
check "a fragmented ping after them" \
    tell "ping -q -c 2 -i 0.1 -s 4000 -W 20 $GATEWAY"
check "the limit of fragments was counted" \
    eventually flooded netstackd frag-limit frag $SERVER 1 20000
works "after fragments"
check "20,000 pings in a flood" \
    tell "ping -q -f -c 20000 -w 150 $GATEWAY | grep -q ' 0% packet loss'"
works "after pings"
check "nobody spins" nobody_spins
guest_stop

# --- hardly any descriptors ---------------------------------------------------------
# Only the suite: the limit is not to be raised again.
cat >"$DIR/few" <<E2
#!/bin/sh
ulimit -n 256
exec $VPNKIT "\$@"
E2
chmod +x "$DIR/few"
all=$VPNKIT
VPNKIT=$DIR/few
guest_start
VPNKIT=$all
crowd hold 7100 300 $SERVER $SERVER2
open=$(word 2)
check "of 300 connections with 256 descriptors some are open" [ "$open" -gt 100 ]
check "and the others refused" [ "$said" = "up $open $((300 - open)) 0" ]
check "the limit was counted" eventually counted netstackd flow-limit
check "nobody spins" nobody_spins
order check
check "those that are open live" [ "$said" = "alive $open" ]
order close 20
check "new ones are served when others have closed" eventually opens_one

# Clients of ethd, more than it has descriptors for.
exec 5>&7 6<&8
crowd_here clients "$SOCK" 260
check "260 clients knock" [ "$said" = "clients 260" ]
check "ethd has no descriptor for some" eventually counted ethd accept-limit
check "nobody spins" nobody_spins
some_are_in() {
	order answered
	[ "$(word 2)" -gt 100 -a "$(word 2)" -lt 260 ]
}
check "some are let in" eventually some_are_in
order close 150
check "the others are let in when some have left" \
    eventually obeys "answered" "answered 110"
crowd_gone
exec 7>&5 8<&6 5>&- 6<&-
order check
check "the guest's connections live" [ "$said" = "alive $((open - 19))" ]
crowd_gone
works "when all are gone"
guest_stop

# --- no descriptors for the supervisor -----------------------------------------------
guest_start
free=0
while [ -e "/proc/$SUITE/fd/$free" ]; do
	free=$((free + 1))
done
prlimit --pid "$SUITE" --nofile=$free:
guest -- "$PEER" down $SERVER 7000 1000003 >"$DIR/second" 2>&1 &
second=$!
logged() {
	grep -q "$1" "$LOG"
}
check "a second machine comes without any left" eventually \
    logged "VM 2: trying again"
works "for the first one"
prlimit --pid "$SUITE" --nofile="$NOFILE":
check "it is served when there are some" wait $second
guest_stop

# --- --max-connections ---------------------------------------------------------------
guest_start --max-connections 20
# A stack that says it has closed what it keeps: the kernel counts, too.
most() {
	sed -n 's/^Max open files *\([0-9]*\).*/\1/p' \
	    "/proc/$(pgrep -x netstackd)/limits"
}
check "whatever a stack says, it has 1,044 descriptors at most" [ "$(most)" = 1044 ]
tell "$PEER udp $SERVER 7000 64 1"
# UDP flows count and stay a while: the crowd takes what is left.
crowd hold 7100 30 $SERVER
open=$(word 2)
check "the 21st connection is refused" [ "$open" -ge 15 -a "$open" -le 20 \
    -a "$(word 3)" = $((30 - open)) ]
check "the refusal was counted" eventually counted portd refused-max-connections
order open 1
check "and one more" [ "$said" = "up 0 1 0" ]
order close 1
check "after one has closed, one is served" eventually opens_one
order open 1
check "but no second" [ "$said" = "up 0 1 0" ]
order check
check "those that are open live" [ "$said" = "alive $open" ]
crowd_gone
guest_stop
done_testing
