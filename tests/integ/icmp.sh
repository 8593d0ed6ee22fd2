#!/bin/sh
# ICMP through the host: ping, traceroute and mtr of a real guest, over two
# routers to a server behind a narrow link, with real tools on both sides.
#
#	guest - suite (here) - r1 10.1.0.2 - r2 10.2.0.2 - server 10.3.0.2
#	                  1500          1500          MTU 1400
#
# The second argument says by which sockets: "ping" (the kernel grants them),
# "raw" (it does not, and the supervisor has CAP_NET_RAW) or "none".
. "$(dirname "$0")/lib.sh"

HOW=${2:-ping}
need ip ping traceroute mtr sysctl
SRV=10.3.0.2
NOBODY=10.3.0.77

# A namespace of a router or server, below this one: it goes with it.
station() {
	mkfifo "$DIR/up.$1"
	unshare --net sh -c 'echo $$ >"$1"; exec sleep 100000' - "$DIR/up.$1" &
	pid=$(line_of "$DIR/up.$1")
	eval "$1=$pid"
	nsenter -t "$pid" -n ip link set lo up
}

in_ns() {
	pid=$1
	shift
	nsenter -t "$pid" -n "$@"
}

# wire NS1 ADDR1 NS2 ADDR2 MTU: a cable between two of them; 0 is this one.
wire() {
	a=w$1.$3 b=w$3.$1
	ip link add "$a" mtu "$5" type veth peer name "$b" mtu "$5"
	plug "$a" "$1" "$2"
	plug "$b" "$3" "$4"
}

plug() {
	if [ "$2" = 0 ]; then
		ip addr add "$3/24" dev "$1"
		ip link set "$1" up
	else
		ip link set "$1" netns "$2"
		in_ns "$2" ip addr add "$3/24" dev "$1"
		in_ns "$2" ip link set "$1" up
	fi
}

# As many errors as there are packets: a test has no patience.  What the mask
# has no bit for is not counted against the limit of the whole machine either,
# to which tests of floods come near.
talks() {
	in_ns "$1" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_ratemask=0
}

router() {
	in_ns "$1" sysctl -qw net.ipv4.ip_forward=1
	talks "$1"
}

lab_routers() {
	ip link set lo up
	station r1
	station r2
	station srv
	wire 0 10.1.0.1 "$r1" 10.1.0.2 1500
	wire "$r1" 10.2.0.1 "$r2" 10.2.0.2 1500
	wire "$r2" 10.3.0.1 "$srv" $SRV 1400
	router "$r1"
	router "$r2"
	talks "$srv"
	ip route add default via 10.1.0.2
	in_ns "$r1" ip route add 10.3.0.0/24 via 10.2.0.2
	in_ns "$r1" ip route add prohibit 10.4.0.0/24
	in_ns "$r2" ip route add 10.1.0.0/24 via 10.2.0.1
	in_ns "$r2" ip route add default via 10.2.0.1
	in_ns "$srv" ip route add default via 10.3.0.1
	# Nobody is there; a failed question for it ends in a second.
	in_ns "$r2" sysctl -qw "net.ipv4.neigh.w$r2/$srv.mcast_solicit=1"
	server nsenter -t "$srv" -n "$PEER" udpserve $SRV 7000
	server nsenter -t "$srv" -n "$PEER" serve $SRV 7000
}

lab_routers
# 65534 is nobody's group, which portd has.
if [ "$HOW" = ping ]; then
	sysctl -qw net.ipv4.ping_group_range="0 2147483647"
else
	sysctl -qw net.ipv4.ping_group_range="1 0"
fi
[ "$HOW" != none ] || WRAP="setpriv --bounding-set -net_raw --inh-caps -net_raw"
suite
guest -- sh "$HERE/icmp_inside.sh" "$PEER" "$HOW" \
    "$BUILD/tests/integ/udperr" || FAILED=1
check "the suite still runs" kill -0 "$SUITE"
case $HOW in
none)
	eventually grep -q net.ipv4.ping_group_range "$LOG"
	check "one line says what to do" test \
	    "$(grep -c net.ipv4.ping_group_range "$LOG")" = 1
	;;
raw)
	kill -USR1 "$SUITE"
	check "by raw sockets" eventually grep -q 'icmp-raw-opened=[1-9]' "$LOG"
	;;
esac
done_testing
