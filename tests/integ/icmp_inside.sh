# Runs inside the guest's namespaces: icmp_inside.sh PEER HOW UDPERR.
PEER=$1 HOW=$2 UDPERR=$3
SRV=10.3.0.2 NOBODY=10.3.0.77 FORBIDDEN=10.4.0.1
GATEWAY=192.168.65.1 HOSTIP=192.168.65.2
FAILED=0

check() {
	what=$1
	shift
	if out=$("$@" 2>&1); then
		echo "ok   $what"
	else
		echo "FAIL $what (status $?): $*: $out"
		FAILED=1
	fi
}

# The output of a command holds a line like this.
says() {
	want=$1
	shift
	got=$("$@" 2>&1)
	printf '%s\n' "$got" | grep -q -- "$want" || {
		echo "no '$want' in: $got"
		return 1
	}
}

# What has little patience of its own is tried again.
again() {
	n=0
	until "$@"; do
		n=$((n + 1))
		[ $n -lt 10 ] || return 1
	done
}

# The hops of a traceroute, in a row.
hops() {
	traceroute -n -q 1 -w 10 -z 0 "$@" 2>&1 |
	    sed -n 's/^ *[0-9][0-9]* *\([^ ]*\).*/\1/p' | tr '\n' ' '
}

mtr_hops() {
	mtr -n -r -c 2 -i 0.5 -G 2 "$@" $SRV 2>&1 |
	    sed -n 's/^ *[0-9][0-9]*\.|-- *\([^ ]*\).*/\1/p' | tr '\n' ' '
}

# Two at a time, each with an identifier and a payload of its own.
two_pings() {
	ping -q -n -c 5 -i 0.01 -W 20 -p aa -s 100 $SRV &
	one=$!
	ping -q -n -c 5 -i 0.01 -W 20 -p 55 -s 200 $SRV && wait $one
}

PING="ping -n -c 1 -W 20"
WAY="$GATEWAY 10.1.0.2 10.2.0.2 $SRV "

check "ping of the gateway" $PING $GATEWAY
check "ping of the host address" $PING $HOSTIP
if [ "$HOW" = none ]; then
	check "an honest answer to a ping" \
	    says "From $GATEWAY icmp_seq=1 Packet filtered" $PING $SRV
else
	# Two routers, and ours.
	check "ping of a server" says "from $SRV: icmp_seq=1 ttl=61" $PING $SRV
	check "ping, nobody there" \
	    says "From 10.2.0.2 .*Destination Host Unreachable" $PING $NOBODY
	check "ping of what a router forbids" \
	    says "From 10.1.0.2 .*Packet filtered" $PING $FORBIDDEN
	check "ping of the loopback's network" \
	    says "From $GATEWAY .*Packet filtered" $PING 127.0.0.1 -I tap0
	check "two pings at once" two_pings
	check "ping at a hop's distance" \
	    says "From $GATEWAY .*Time to live exceeded" $PING -t 1 $SRV
	check "ping at two" \
	    says "From 10.1.0.2 .*Time to live exceeded" $PING -t 2 $SRV
	check "ping at three" \
	    says "From 10.2.0.2 .*Time to live exceeded" $PING -t 3 $SRV
	check "a ping that just passes" $PING -M do -s 1372 $SRV
	check "one that does not, and why" \
	    says "From 10.2.0.2 .*mtu *= *1400" $PING -M do -s 1472 $SRV
	ip route flush cache
	check "what was learnt is remembered" \
	    says "From $GATEWAY .*mtu *= *1400" $PING -M do -s 1472 $SRV
	ip route flush cache
	check "one that may be cut" $PING -M dont -s 1472 $SRV
	check "one of many pieces" $PING -M dont -s 9000 $SRV
	check "traceroute -I" again says "^$WAY\$" hops -I $SRV
	check "mtr" again says "^$WAY\$" mtr_hops
fi
# The rest does not depend on how echo is sent.
[ "$HOW" = ping ] || exit $FAILED
check "TCP through the narrow link" "$PEER" down $SRV 7000 1000003
check "UDP through the narrow link" "$PEER" udp $SRV 7000 1372 5
check "UDP in pieces" "$PEER" udp $SRV 7000 9000 5
check "traceroute" again says "^$WAY\$" hops $SRV
check "traceroute to the host address" again says "^$HOSTIP \$" hops $HOSTIP
check "mtr -u" again says "^$WAY\$" mtr_hops -u
check "UDP, a closed port" says "^Connection refused, 1500" \
    "$UDPERR" $SRV 9 10
check "UDP, a closed port of the host" says "^Connection refused, 1500" \
    "$UDPERR" $HOSTIP 9 10
check "UDP, nobody there" says "^No route to host, 1500" \
    "$UDPERR" $NOBODY 9 10
check "UDP, forbidden by a router" says "^No route to host, 1500" \
    "$UDPERR" $FORBIDDEN 9 10
check "UDP, too big for the path" says "^Message too long, 1400" \
    "$UDPERR" $SRV 7000 1472
check "TCP, nobody there" says "^No route to host" \
    "$PEER" unreach $NOBODY 80 120000
check "TCP, forbidden by a router" says "^No route to host" \
    "$PEER" unreach $FORBIDDEN 80 120000
check "TCP, a closed port" says "^Connection refused" \
    "$PEER" refused $SRV 9
exit $FAILED
