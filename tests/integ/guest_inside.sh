# Runs inside the guest's namespaces: guest_inside.sh PEER BYTES MTU.
PEER=$1 BYTES=$2 MTU=$3
SERVER=192.0.2.1 GATEWAY=192.168.65.1 HOSTIP=192.168.65.2
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

# The output of a command is exactly this.
is() {
	want=$1
	shift
	got=$("$@")
	[ "$got" = "$want" ] || { echo "got '$got'"; return 1; }
}

has_status() {
	dig +tries=1 +time=60 "$@" | grep -q "status: $status"
}

check "address by DHCP" sh -c 'ip -4 addr show | grep -q "inet 192.168.65.3/24"'
check "default route" sh -c "ip route | grep -q 'default via $GATEWAY'"
check "link MTU" sh -c "ip link show tap0 | grep -q 'mtu $MTU '"
check "ping of the gateway" ping -q -c 3 -i 0.01 -W 20 $GATEWAY
check "ping of the host address" ping -q -c 3 -i 0.01 -W 20 $HOSTIP
check "ping of 4000 bytes" ping -q -c 2 -i 0.01 -s 4000 -W 20 $GATEWAY
check "ping of 30000 bytes" ping -q -c 2 -i 0.01 -s 30000 -W 20 $GATEWAY

check "TCP to the guest" "$PEER" down $SERVER 7000 "$BYTES"
check "TCP from the guest" "$PEER" up $SERVER 7000 "$BYTES"
check "TCP both ways at once" "$PEER" both $SERVER 7000 $((BYTES / 4))
check "TCP half-close" "$PEER" half $SERVER 7000 10000019
check "TCP round trips" "$PEER" tcprr $SERVER 7000 200
for bytes in 0 1000 60000; do
	check "TCP, $bytes bytes and a reset" "$PEER" cut $SERVER 7000 $bytes
done
check "TCP, one byte" "$PEER" down $SERVER 7000 1
check "TCP, nothing" "$PEER" down $SERVER 7000 0
check "TCP to the host's loopback by host-ip" "$PEER" down $HOSTIP 7001 1000003
check "refused by a server" "$PEER" refused $SERVER 9
check "refused by the host's loopback" "$PEER" refused $HOSTIP 9
check "refused by the gateway" "$PEER" refused $GATEWAY 81
check "a black hole does not answer" "$PEER" unreach 198.51.100.7 80 300
for size in 1 64 "$((MTU - 28))" "$((MTU - 27))" 9000 65507; do
	[ "$size" -le 65507 ] || continue
	check "UDP of $size bytes" "$PEER" udp $SERVER 7000 "$size" 20
done
check "UDP to the host's loopback" "$PEER" udp $HOSTIP 7001 512 20
check "UDP from a port never written to" "$PEER" udpcone $SERVER 7000 7002
check "UDP to itself, as it is known outside" "$PEER" udphair $SERVER 40000

check "DNS over UDP" is 198.51.100.1 dig +short +tries=1 +time=60 one.example
check "DNS over TCP" is 198.51.100.1 dig +short +tries=1 +time=60 +tcp one.example
check "DNS answers over 512 bytes" sh -c \
    'dig +tries=1 +time=60 TXT big.example | grep -q "ANSWER: 3"'
check "name of the gateway" is $GATEWAY dig +short +tries=1 +time=60 gateway.internal
check "name of the host, in capitals" is $HOSTIP \
    dig +short +tries=1 +time=60 HOST.Internal
check "name of the first VM" is 192.168.65.3 dig +short +tries=1 +time=60 vm.internal
status=NOERROR
check "AAAA of a built-in name" has_status AAAA host.internal

# A hundred black-holed connects must not be noticed by the others.
i=0
while [ $i -lt 100 ]; do
	"$PEER" unreach 198.51.100.$((i % 250 + 1)) 81 3000 >/dev/null &
	i=$((i + 1))
done
check "beside 100 black-holed connects" "$PEER" down $SERVER 7000 10000019
wait
exit $FAILED
