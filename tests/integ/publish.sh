#!/bin/sh
# Ports of the host that lead to a guest, over the virtual network: a real
# kernel as guest, real servers in it, clients on the host.
. "$(dirname "$0")/lib.sh"

need ip curl socat ss
lab
export CROWD=$BUILD/tests/integ/crowd
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1"
HOST2=192.0.2.2
ip addr add $HOST2/24 dev ext0
ip -6 addr add 2001:db8::1/64 dev ext0 nodad
ip -6 addr add fe80::1/64 dev ext0 nodad
echo 1 >/proc/sys/net/ipv4/ip_unprivileged_port_start

# Runs in the guest while the suite does.
guest_start() {
	cat >"$DIR/inside" <<-'END'
		PEER=$1 DIR=$2 ME=$3
		mkdir "$DIR/www"
		seq 100000 >"$DIR/www/seq"
		"$PEER" serve $ME 7000 >>"$DIR/ready" &
		"$PEER" serve $ME 7003 >>"$DIR/ready" &
		"$PEER" serve $ME 7004 >>"$DIR/ready" &
		"$PEER" udpserve $ME 7000 >>"$DIR/ready" &
		"$CROWD" serve 7005 $ME >>"$DIR/ready" &
		socat -t 60 TCP-LISTEN:7100,fork,reuseaddr,bind=$ME \
		    SYSTEM:'echo $SOCAT_PEERADDR $SOCAT_PEERPORT' &
		socat -t 60 TCP-LISTEN:7101,fork,reuseaddr,bind=$ME \
		    SYSTEM:'od -An -tx1 -v' &
		for port in 7100 7101; do
			until ss -Hltn "sport = :$port" | grep -q .; do
				sleep 0.02
			done
			echo ready >>"$DIR/ready"
		done
		read -r _end <"$DIR/leave"
	END
	rm -rf "$DIR/www"
	: >"$DIR/ready"
	guest --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa -- \
	    sh "$DIR/inside" "$PEER" "$DIR" $GUEST &
	GUESTPID=$!
	eventually sh -c "[ \$(grep -c ready $DIR/ready) = 7 ]" ||
	    echo "FAIL the guest's servers did not start"
}

guest_leave() {
	: >"$DIR/leave"
	wait $GUESTPID
}

said() {
	eventually grep -q "$@" "$LOG"
}

is() {
	want=$1
	shift
	got=$("$@")
	[ "$got" = "$want" ] || { echo "got '$got'"; return 1; }
}

# congestion WORD HOST PORT: the control of our end of such a client's stream.
congestion() {
	"$PEER" down "$2" "$3" 2000000000 >/dev/null 2>&1 &
	client=$!
	eventually sh -c "ss -Htin sport = :$3 | grep -qw '$1'"
	found=$?
	kill $client
	wait $client || :
	return $found
}

mkfifo "$DIR/leave"
"$PEER" serve $SERVER 8888 >/dev/null &
TAKEN=$!

echo "# the guest sees the gateway"
suite --publish 127.0.0.1:8000:$GUEST:7000 \
    --publish 0.0.0.0:8001:$GUEST:7000/tcp \
    --publish "[::]:8002:$GUEST:7000" \
    --publish "[::]:8001:$GUEST:7100" \
    --publish 127.0.0.1:8001:$GUEST:7100 \
    --publish 127.0.0.1:8000:$GUEST:7000/udp \
    --publish "[::1]:8002:$GUEST:7000/udp" \
    --publish "[::]:8012:$GUEST:7000/udp" \
    --publish 0.0.0.0:8003-8004:$GUEST:7003-7004 \
    --publish 0.0.0.0:8009:$GUEST:9 \
    --publish 127.0.0.1:8010:$GUEST:7100 \
    --publish 127.0.0.1:8011:$GUEST:7101/tcp/proxy \
    --publish 127.0.0.1:80:$GUEST:7000 \
    --publish 127.0.0.1:8005:$GUEST:7005 \
    --publish $SERVER:8888:$GUEST:7000 \
    --publish 203.0.113.9:8000:$GUEST:7000 \
    --publish 127.0.0.1:8020:10.0.0.1:80 \
    --publish "$DIR/web.sock:$GUEST:7100" \
    --publish "$DIR/proxied.sock:$GUEST:7101/proxy"
check "a taken port is said" said "port 8888: somebody else listens"
check "one of our own is said" said "port 8001: another forward is there"
check "a foreign address is said" said "does not have that address"
check "a target that is no guest is said" said "not the address of a guest"
check "listens before there is a guest" said "127.0.0.1:8000:.*port 8000"
check "reset while there is no guest" "$PEER" reset 127.0.0.1 8000
guest_start
check "TCP to the guest" "$PEER" up 127.0.0.1 8000 30000017
check "TCP from the guest" "$PEER" down 127.0.0.1 8000 30000017
check "TCP both ways" "$PEER" both 127.0.0.1 8000 10000019
check "not paced on the loopback" congestion reno 127.0.0.1 8000
check "nor from there to all addresses" congestion reno 127.0.0.1 8003
check "from elsewhere as the system has it" congestion \
    "$(cat /proc/sys/net/ipv4/tcp_congestion_control)" $HOST2 8003
check "TCP, 60000 bytes and a reset" "$PEER" cut 127.0.0.1 8000 60000
check "half-close" "$PEER" half 127.0.0.1 8000 1000003
check "from another address" "$PEER" down $HOST2 8001 1000003
check "round trips" "$PEER" tcprr 127.0.0.1 8000 200
check "IPv6" "$PEER" down ::1 8002 1000003
check "IPv6 from outside" "$PEER" down 2001:db8::1 8002 1000003
check "[::1] beside 127.0.0.1" "$PEER" down ::1 8000 1000003
check "[::] of its own beside 0.0.0.0" sh -c \
    "socat -T 5 - 'TCP6:[::1]:8001' </dev/null | grep -q '^$GATEWAY '"
check "a range, first" "$PEER" down 127.0.0.1 8003 1000003
check "a range, last" "$PEER" down 127.0.0.1 8004 1000003
check "a low port" "$PEER" down 127.0.0.1 80 1000003
check "refused by the guest: reset at once" "$PEER" reset 127.0.0.1 8009
for size in 1 1472 1473 9216 65507; do
	check "UDP of $size bytes" "$PEER" udp 127.0.0.1 8000 "$size" 20
done
check "UDP over IPv6" "$PEER" udp ::1 8002 9000 20
check "UDP over IPv6 from outside" "$PEER" udp 2001:db8::1 8012 9000 20
check "UDP of link-local clients" "$PEER" udp fe80::1%ext0 8012 9000 20
check "the guest sees the gateway" sh -c \
    "socat -t 60 -T 60 - TCP:127.0.0.1:8010 </dev/null | grep -q '^$GATEWAY '"
check "a PROXY header comes first" sh -c "printf hello |
    socat -t 60 -T 60 - TCP:127.0.0.1:8011,sourceport=5555 | tr -d '\n' |
    grep -q '^ 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a 21 11 00 0c 7f 00 00 01 7f 00 00 01 15 b3 1f 4b 68 65 6c 6c 6f'"

check "a Unix socket leads to the guest" sh -c \
    "socat -t 60 -T 60 - UNIX:$DIR/web.sock </dev/null | grep -q '^$GATEWAY '"
check "its PROXY header names nobody" sh -c "printf hello |
    socat -t 60 -T 60 - UNIX:$DIR/proxied.sock | tr -d '\n' |
    grep -q '^ 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a 20 00 00 00 68 65 6c 6c 6f'"

# Every connection of a crowd is served, and nothing of it stays.
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 20000 ] || CROWDS=1000
ulimit -n "$(ulimit -Hn)"
before=$(fds_settled)
check "a crowd of ${CROWDS:=10000} clients" sh -c "
    \"$CROWD\" hold 8005 $CROWDS 127.0.0.1 </dev/null | grep -q '^up $CROWDS '"
check "and the descriptors are back" eventually fds_back "$before"

# Whoever has a connection keeps it when portd dies, and its ports come back.
"$PEER" down 127.0.0.1 8000 200000033 &
transfer=$!
has_begun() {
	ss -Htin dst 127.0.0.1:8000 | grep -q 'bytes_received:[1-9]'
}
eventually has_begun
# A stack that is slow to hear of it still has sockets of UDP clients.
check "UDP has a client" "$PEER" udp 127.0.0.1 8000 100 1
kill -STOP "$(pids_of netstackd)"
kill -KILL "$(pids_of portd)"
restarted() {
	[ "$(grep -c "portd is ready" "$LOG")" = 2 ]
}
check "portd died: another one" eventually restarted
kill -CONT "$(pids_of netstackd)"
check "portd died: the port is back" eventually "$PEER" down 127.0.0.1 8000 1003
check "portd died: UDP is back" eventually env PEER_WAIT=5000 \
    "$PEER" udp 127.0.0.1 8000 100 5
check "portd died: what ran goes on" wait $transfer
guest_leave
suite_stop

echo "# the guest sees the client"
suite --preserve-source --publish 0.0.0.0:8010:$GUEST:7100 \
    --publish 0.0.0.0:8001:$GUEST:7000
guest_start
check "the client's address" is "$HOST2 5556" \
    socat -t 60 -T 60 - TCP:$SERVER:8010,bind=$HOST2,sourceport=5556
check "the gateway for the host's loopback" sh -c \
    "socat -t 60 -T 60 - TCP:127.0.0.1:8010 </dev/null | grep -q '^$GATEWAY '"
check "bytes" "$PEER" down $SERVER 8001 1000003
guest_leave
suite_stop

echo "# ports of the gateway"
once() {
	guest --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa -- "$@"
}
GW='"protocol":"%s","external_port":%d,"internal_ip":"%s","internal_port":7000'
suite --tcpv4-forwards 9000:$SERVER:7000,9001:127.0.0.1:7001 \
    --udpv4-forwards 9000:$SERVER:7000 --gateway-forwards "$DIR/gw"
check "TCP" once "$PEER" down $GATEWAY 9000 1000003
once "$PEER" down $GATEWAY 9000 1000000007 &
transfer=$!
check "not paced toward an address of the host" eventually sh -c \
    "ss -Htin dst $SERVER dport = :7000 | grep -qw reno"
check "all of it" wait $transfer
check "to the host's loopback" once "$PEER" down $GATEWAY 9001 1000003
check "UDP" once "$PEER" udp $GATEWAY 9000 9000 5
check "none" once "$PEER" refused $GATEWAY 9002
# shellcheck disable=SC2059
printf "[{$GW},{$GW}]" tcp 9002 $SERVER tcp 53 $SERVER >"$DIR/gw.new"
mv "$DIR/gw.new" "$DIR/gw"
check "a file that is new" said "gw: new forwards"
check "leads there" eventually once "$PEER" down $GATEWAY 9002 1000003
check "port 53 too" once "$PEER" down $GATEWAY 53 1000003
echo '[' >"$DIR/gw"
check "a file that is wrong" said "the forwards stay as they are"
check "changes nothing" once "$PEER" down $GATEWAY 9002 1000003
rm "$DIR/gw"
check "a file that is gone" eventually once "$PEER" refused $GATEWAY 9002
suite_stop

echo "# the guest meets itself"
cat >"$DIR/self.sh" <<'E'
"$1" serve "$2" 7000 >"$4/tcp" &
"$1" udpserve "$2" 7000 >"$4/udp" &
read -r _ <"$4/tcp" && read -r _ <"$4/udp" &&
    "$1" both "$3" 8001 1000003 && "$1" udp "$3" 8001 9000 5
E
mkfifo "$DIR/tcp" "$DIR/udp"
suite --publish 0.0.0.0:8001:$GUEST:7000 --publish 0.0.0.0:8001:$GUEST:7000/udp
check "at its published port" once sh "$DIR/self.sh" "$PEER" $GUEST $SERVER "$DIR"
kill $TAKEN
done_testing
