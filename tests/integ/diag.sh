#!/bin/sh
# --pcap, --diagnostics and --metrics: what their clients get of real traffic,
# and that one who does not read holds nobody up.
. "$(dirname "$0")/lib.sh"

need ip tshark tar curl socat dig
CAP=$DIR/pcap DIAG=$DIR/diag METRICS=$DIR/metrics TREE=$DIR/tree9p

lab
lab_dns
suite --pcap "$CAP" --diagnostics "$DIAG" --metrics "$METRICS" \
    --introspection "$TREE" \
    --pcap-snaplen 96
told_guest
check "diagd runs" eventually pids_of diagd
tell "ping -q -c 2 -i 0.01 $GATEWAY"

# A client that is there before the packets, one that comes later, and one
# that never reads.
socat -u "UNIX-CONNECT:$CAP" "CREATE:$DIR/early.pcap" &
EARLY=$!
socat -u "UNIX-CONNECT:$CAP,rcvbuf=4096" SYSTEM:"exec sleep 1000" &
eventually [ -s "$DIR/early.pcap" ]
check "traffic beside them" tell "$PEER down $SERVER 7000 3000000"
check "names" tell "dig +short one.example"
tell "ping -q -c 3 -i 0.01 $GATEWAY"

icmp_there() {
	[ "$(tshark -r "$DIR/early.pcap" -Y icmp 2>/dev/null |
	    grep -c 'Echo (ping)')" = 10 ]
}
check "backlog and live packets are there" eventually icmp_there
kill $EARLY
check "a client sees the file's head" sh -c "
	od -An -tx4 -N 24 '$DIR/early.pcap' | tr -s ' \n' ' ' |
	grep -q 'a1b2c3d4 00040002 00000000 00000004 0000ffff 00000001'"
check "packets are cut to the length asked for" sh -c "
	tshark -r '$DIR/early.pcap' -T fields -e frame.cap_len 2>/dev/null |
	    sort -n | tail -n 1 | grep -qx 96"

mkdir "$DIR/tar"
check "a tar archive" sh -c "
	socat -u 'UNIX-CONNECT:$DIAG' 'CREATE:$DIR/diag.tar' &&
	tar xf '$DIR/diag.tar' -C '$DIR/tar'"
check "with all its files" sh -c "
	tar tf '$DIR/diag.tar' | tr '\n' ' ' | grep -qx 'connections \
capture/all.pcap capture/dns.pcap capture/ntp.pcap capture/icmp.pcap \
capture/http_proxy.pcap capture/bad.pcap flows endpoints ports '"
check "their mode is 644" sh -c "
	tar tvf '$DIR/diag.tar' | grep -vq '^-rw-r--r--' && exit 1 || exit 0"
check "the question is in dns.pcap" sh -c "
	tshark -r '$DIR/tar/capture/dns.pcap' 2>/dev/null | grep -q one.example"
check "the ping is in icmp.pcap" sh -c "
	tshark -r '$DIR/tar/capture/icmp.pcap' 2>/dev/null | grep -q Echo"
check "flows have the transfer" grep -qE \
    "^tcp $GUEST:[0-9]+ > $SERVER:7000 socket = (open|closed) last_active = " \
    "$DIR/tar/flows"
check "connections have the processes" grep -q "^netstackd-1" \
    "$DIR/tar/connections"

check "the tree has the same files" sh -c "
	'$BUILD/tests/integ/ports9p' cat '$TREE' '' | strings -n 4 | tr '\n' ' ' |
	    grep -q 'capture.*connections.*flows.*endpoints.*ports'"
check "and of them the flows" sh -c "
	'$BUILD/tests/integ/ports9p' cat '$TREE' flows |
	    grep -qE '^tcp $GUEST:[0-9]+ > $SERVER:7000 socket = '"
"$BUILD/tests/integ/ports9p" cat "$TREE" capture/all.pcap >"$DIR/all.pcap"
check "and the packets" sh -c "
	tshark -r '$DIR/all.pcap' 2>/dev/null | grep -q 7000"
check_not "there is nothing else" "$BUILD/tests/integ/ports9p" cat "$TREE" etc
check "metrics over HTTP" sh -c "
	curl -sf --unix-socket '$METRICS' http://x/metrics >'$DIR/m' &&
	grep -q '^vpnkit_process_up{process=\"netstackd-1\"} 1$' '$DIR/m' &&
	tail -n 1 '$DIR/m' | grep -qx '# EOF'"
# As somebody types it: each byte has been read before the next is sent.
check "a request byte by byte" /usr/bin/python3 -c '
import fcntl, socket, struct, sys, termios
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.settimeout(120)
for c in b"GET / HTTP/1.0\r\n\r\n":
    s.sendall(bytes([c]))
    while struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, b"\0" * 4))[0]:
        pass
assert s.recv(15, socket.MSG_WAITALL) == b"HTTP/1.1 200 OK"
' "$METRICS"
check "garbage ends the client, not the daemon" sh -c "
	head -c 100000 /dev/urandom | tr '\n' x |
	    socat -t 2 - 'UNIX-CONNECT:$METRICS' >/dev/null 2>&1
	curl -sf --unix-socket '$METRICS' http://x/metrics >/dev/null"
OLD=$(pids_of diagd)
kill -9 "$OLD"
check "killed, it is there again" eventually \
    curl -sf -o /dev/null --unix-socket "$METRICS" http://x/metrics
check "and nobody else has noticed" tell "$PEER down $SERVER 7000 1000003"
told_leave
suite_stop

# curl's 7: it could not connect.
unreachable() {
	guest -- curl -s -m 120 -o /dev/null "http://$1/"
	[ $? = 7 ]
}

# Metrics on a port: the host's programs get there, and no guest.
check_not "not on all addresses" "$VPNKIT" --ethernet "$SOCK" \
    --metrics 0.0.0.0:9100
suite --metrics 127.0.0.1:9100
guest -- true
check "metrics on a port" sh -c "
	curl -sf http://127.0.0.1:9100/metrics | tail -n 1 | grep -qx '# EOF'"
check "the host's loopback is there for the guest" guest -- \
    "$PEER" down $HOSTIP 7001 1000
check "but not that port" unreachable $HOSTIP:9100
suite_stop
suite --metrics $SERVER:9100
guest -- true
check "on another address" sh -c "
	curl -sf http://$SERVER:9100/ | tail -n 1 | grep -qx '# EOF'"
check "no guest gets there" unreachable $SERVER:9100
suite_stop
suite --metrics $SERVER:9100 --tcpv4-forwards 8080:$SERVER:9100
check "by a forward neither" unreachable $GATEWAY:8080
suite_stop
suite
guest -- true
check_not "without them there is no diagd" pids_of diagd
suite_stop
done_testing
