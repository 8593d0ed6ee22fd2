#!/bin/sh
# Ports asked for while the suite runs: 9P and HTTP on one socket, with a real
# kernel as guest. Bytes go over the virtual network, and over the tunnel to a
# forwarder of each generation.
. "$(dirname "$0")/lib.sh"

need ip curl
lab
PORTS=$DIR/ports.sock
NINEP=$BUILD/tests/integ/ports9p
FORWARDER=$BUILD/tests/integ/forwarder
STATUS=$BUILD/tools/vpnkit-status
echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start
mkfifo "$DIR/leave" "$DIR/hold"

# A client of 9P that holds its forwards until release; what it was told is
# in $DIR/told.
hold() {
	: >"$DIR/told"
	"$NINEP" hold "$PORTS" "$@" <"$DIR/hold" >"$DIR/told" &
	HOLDER=$!
	exec 8>"$DIR/hold"
	eventually sh -c "[ \$(wc -l <'$DIR/told') -ge $# ]"
}

release() {
	exec 8>&-
	wait $HOLDER
}

api() {
	curl -sS --unix-socket "$PORTS" "http://unix/forwards/$@"
}

port_json() {
	printf '{"proto":"%s","out_ip":"127.0.0.1","out_port":%s,"in_ip":"%s","in_port":%s}' "$@"
}

status() {
	"$STATUS" -s "$SOCK" "$@"
}

# HTTP's list is this.
lists() {
	[ "$(api list)" = "$1" ]
}

# It is refused, and said why.
refuses() {
	want=$1
	shift
	status "$@" >"$DIR/said" 2>&1
	[ $? = 3 ] && grep -q "$want" "$DIR/said" || { cat "$DIR/said"; return 1; }
}

listed() {
	status ports | grep -q "$@"
}

# Descriptors of a process of the suite.
fds_of() {
	ls "/proc/$(pids_of "$1")/fd" | wc -l
}

free_port() {
	eventually "$PEER" refused 127.0.0.1 "$1"
}

echo "# over the virtual network"
suite --port "$PORTS" --allowed-bind-addresses 127.0.0.1
eventually test -S "$PORTS"
cat >"$DIR/inside" <<-'END'
	PEER=$1 DIR=$2 ME=$3
	"$PEER" serve $ME 7000 >>"$DIR/ready" &
	"$PEER" udpserve $ME 7000 >>"$DIR/ready" &
	read -r _end <"$DIR/leave"
END
: >"$DIR/ready"
guest -- sh "$DIR/inside" "$PEER" "$DIR" $GUEST &
GUESTPID=$!
eventually sh -c "[ \$(grep -c ready $DIR/ready) = 2 ]"

hold "tcp:127.0.0.1:8100:tcp:$GUEST:7000" "udp:127.0.0.1:8100:udp:$GUEST:7000" \
    "tcp:127.0.0.1:0:tcp:$GUEST:7000" "tcp:127.0.0.1:8100:tcp:$GUEST:7001" \
    "tcp:$SERVER:8100:tcp:$GUEST:7000" "tcp:127.0.0.1:80:tcp:$GUEST:7000" \
    "udp:127.0.0.1:81:udp:$GUEST:7000"
check "9P: a port" sed -n "1{/^OK tcp:127.0.0.1:8100:tcp:$GUEST:7000$/!q1}" "$DIR/told"
check "9P: any port is told" sed -n "3{/^OK tcp:127.0.0.1:[1-9][0-9]*:tcp/!q1}" "$DIR/told"
check "9P: a taken port" grep -qx "ERROR Bind for 127.0.0.1:8100 failed: port is already allocated" "$DIR/told"
check "9P: an address that is not allowed" grep -qx "ERROR Bind for $SERVER:8100 failed: permission denied" "$DIR/told"
check "9P: bytes to the guest" "$PEER" up 127.0.0.1 8100 1000003
check "9P: bytes from the guest" "$PEER" down 127.0.0.1 8100 1000003
check "9P: datagrams" "$PEER" udp 127.0.0.1 8100 9216 10
check "9P: datagrams of a low port" "$PEER" udp 127.0.0.1 81 9216 10
check "9P: any port works" "$PEER" down 127.0.0.1 \
    "$(sed -n '3s/^OK tcp:127.0.0.1:\([0-9]*\):.*/\1/p' "$DIR/told")" 1000
release
check "9P: closing ctl ends it" free_port 8100
hold "tcp:127.0.0.1:8100:tcp:$GUEST:7000"
check "9P: made again" "$PEER" down 127.0.0.1 8100 1000
kill -9 $HOLDER
wait $HOLDER 2>/dev/null
exec 8>&-
check "9P: killing the client ends it" free_port 8100
check "9P: remove" "$NINEP" remove "$PORTS" "tcp:127.0.0.1:8100:tcp:$GUEST:7000"
check "9P: removing ends it" free_port 8100

check "HTTP: an empty list" sh -c "[ '$(api list)' = '[]' ]"
check "HTTP: expose" api expose/port -fX PUT -d "$(port_json tcp 8200 $GUEST 7000)"
check "HTTP: once more" api expose/port -f -d "$(port_json tcp 8200 $GUEST 7000)"
check "HTTP: bytes" "$PEER" both 127.0.0.1 8200 1000003
api list >"$DIR/list"
check "HTTP: the list" sh -c "[ '$(cat "$DIR/list")' = '[$(port_json tcp 8200 $GUEST 7000)]' ]"
check "HTTP: taken by another" sh -c "echo '$(api expose/port -d "$(port_json tcp 8200 $GUEST 1)")' | grep -q 'address already in use'"
check "HTTP: not allowed" sh -c "echo '$(api expose/port -d "{\"proto\":\"tcp\",\"out_ip\":\"$SERVER\",\"out_port\":1,\"in_ip\":\"$GUEST\",\"in_port\":1}")' | grep -q 'not permitted'"
api expose/port -d '{"proto":"unix"}' >"$DIR/answer"
check "HTTP: of a Unix socket a bare text" grep -q '^"proto: ' "$DIR/answer"

# Sockets of its clients do not hold the port of a forward that was removed.
check "HTTP: a UDP port" api expose/port -f -d "$(port_json udp 8201 $GUEST 7000)"
check "HTTP: datagrams" "$PEER" udp 127.0.0.1 8201 1000 5
check "HTTP: unexpose" api unexpose/port -fX DELETE -d "$(port_json udp 8201 $GUEST 7000)"
check "HTTP: the UDP port again at once" api expose/port -f -d "$(port_json udp 8201 $GUEST 7000)"
check "HTTP: datagrams again" "$PEER" udp 127.0.0.1 8201 1000 5

echo "# the administrator's"
check "the list has those of HTTP" listed '^tcp  *127.0.0.1:8200  *192.168.65.3:7000  *listening  *http'
check "add" status ports add "127.0.0.1:8300:$GUEST:7000"
check "bytes" "$PEER" down 127.0.0.1 8300 1003
check "any port is told" sh -c "'$STATUS' -s '$SOCK' ports add 127.0.0.1:0:$GUEST:7000/udp |
    grep -q '^udp 127.0.0.1:[1-9][0-9]* leads to $GUEST:7000$'"
check "a Unix socket" status ports add "$DIR/web.sock:$GUEST:7000"
check "its connections" sh -c "echo x | socat -t 60 - UNIX:$DIR/web.sock"
check "in folders that are not there yet" status ports add "$DIR/a/b/web.sock:$GUEST:7000"
check "not where another listens" refuses 'EADDRINUSE' ports add "$DIR/web.sock:$GUEST:7000"
socat "UNIX-LISTEN:$DIR/old.sock,unlink-close=0" /dev/null &
eventually test -S "$DIR/old.sock"
kill -9 $!
wait $!
check "over one that was left behind" status ports add "$DIR/old.sock:$GUEST:7000"
echo precious >"$DIR/file"
check "not over a file" refuses 'EEXIST' ports add "$DIR/file:$GUEST:7000"
check "the file is as it was" grep -qx precious "$DIR/file"
check "not one that is taken" refuses 'another forward is there already (EADDRINUSE)' \
    ports add "127.0.0.1:8300:$GUEST:7001"
check "nor an address that is not allowed" refuses 'not one of --allowed-bind-addresses (EPERM)' \
    ports add "$SERVER:8300:$GUEST:7000"
check "nor what is none" refuses 'is not HOSTIP:HOSTPORT' ports add nonsense
check "nor to remove what is not there" refuses 'there is no such port' ports remove 127.0.0.1:1
check "what was refused is not there" sh -c "[ \$('$STATUS' -s '$SOCK' ports | grep -c :8300) = 1 ]"
check "one of HTTP is removed" status ports remove 127.0.0.1:8201/udp
check "HTTP knows" sh -c "! curl -sS --unix-socket '$PORTS' http://unix/forwards/list | grep -q 8201"
kill -9 "$(pids_of portd)"
check "portd dies: the same ports" eventually "$PEER" down 127.0.0.1 8300 1003
check "and paths" eventually sh -c "echo x | socat -t 60 - UNIX:$DIR/web.sock"
check "remove" status ports remove 127.0.0.1:8300
check "it is closed at once" "$PEER" refused 127.0.0.1 8300
check "remove a path" status ports remove "$DIR/web.sock"
check "it is gone" [ ! -e "$DIR/web.sock" ]

before_portd=$(fds_of portd)
before_front=$(fds_of front)
before_main=$(ls "/proc/$SUITE/fd" | wc -l)
# Of what was before something may still be closing.
fds_main() {
	[ "$(ls "/proc/$SUITE/fd" | wc -l)" -le "$before_main" ]
}
check "100 forwards made and removed 100 times" "$NINEP" cycle "$PORTS" 100 100
check "no descriptor of portd's is left" eventually sh -c "[ \$(ls /proc/$(pids_of portd)/fd | wc -l) -le $before_portd ]"
check "none of front's" eventually sh -c "[ \$(ls /proc/$(pids_of front)/fd | wc -l) -le $before_front ]"
check "none of the supervisor's" eventually fds_main

hold "tcp:127.0.0.1:8100:tcp:$GUEST:7000"
old=$(pids_of portd)
kill -9 "$old"
check "portd dies: a forward of 9P is made again" eventually "$PEER" down 127.0.0.1 8100 1000
check "and that of HTTP" eventually "$PEER" down 127.0.0.1 8200 1000
old=$(pids_of front)
kill -9 "$old"
check "front dies: its forwards end" free_port 8100
eventually sh -c "[ -n \"\$(pgrep -P $SUITE -x front)\" ]"
check "and it listens again" eventually "$NINEP" remove "$PORTS" "tcp:127.0.0.1:8100:tcp:$GUEST:7000"
check "those of HTTP are made again" eventually "$PEER" down 127.0.0.1 8200 1003
check "and listed" eventually lists "[$(port_json tcp 8200 $GUEST 7000)]"
kill -9 "$(pids_of front)" "$(pids_of portd)"
check "both die: it is there again" eventually "$PEER" down 127.0.0.1 8200 1003
check "still known" eventually lists "[$(port_json tcp 8200 $GUEST 7000)]"
check "unexpose ends it" api unexpose/port -fX DELETE -d "$(port_json tcp 8200 $GUEST 7000)"
check "it is closed" "$PEER" refused 127.0.0.1 8200
kill -9 "$(pids_of front)"
eventually sh -c "[ -n \"\$(pgrep -P $SUITE -x front)\" ]"
check "and does not come back" sh -c "[ '$(eventually api list)' = '[]' ]"
exec 8>&-
wait $HOLDER
: >"$DIR/leave"
wait $GUESTPID

pipe_json() {
	printf '{"proto":"unix","out_path":"%s","in_path":"/x"}' "$1"
}

# Without our end of the holder's fifo, which would stay open.
forwarder() {
	server sh -c 'exec 8>&-; exec "$@"' sh "$FORWARDER" "$DIR/connect" "$1"
	FORWARDERPID=$!
}

# Where the forwarder leads to is here what would be in the VM.
tunnel() {
	form=$1
	shift
	echo "# over the tunnel, $form"
	suite --port "$PORTS" --vsock-path "$DIR/connect" "$@"
	eventually "$NINEP" remove "$PORTS" \
	    "tcp:127.0.0.1:0:tcp:127.0.0.1:1" >/dev/null
	hold "tcp:127.0.0.1:8100:tcp:127.0.0.1:7001" \
	    "udp:127.0.0.1:8100:udp:127.0.0.1:7001" \
	    "tcp:127.0.0.1:8101:tcp:127.0.0.1:9"
	check "without a forwarder: reset" "$PEER" reset 127.0.0.1 8100
	check "HTTP: not over a file" sh -c "echo '$(api expose/pipe -d "$(pipe_json "$DIR/file")")' |
	    grep -q 'refusing to remove path $DIR/file'"
	check "the file is as it was" grep -qx precious "$DIR/file"
	check "HTTP: nor at a path too long" sh -c "echo '$(api expose/pipe -d "$(pipe_json "/$(printf 'x%.0s' $(seq 120))")")' | grep -q 'out_path: too long'"
	check "HTTP: a path" sh -c "[ -z '$(api expose/pipe -fd "$(pipe_json "$DIR/c/$form.sock")")' ] && test -S '$DIR/c/$form.sock'"
	forwarder "$form"
	check "bytes to the VM" "$PEER" up 127.0.0.1 8100 3000017
	check "bytes from the VM" "$PEER" down 127.0.0.1 8100 3000017
	check "half an end" "$PEER" half 127.0.0.1 8100 100003
	check "round trips" "$PEER" tcprr 127.0.0.1 8100 200
	check "refused in the VM: reset" "$PEER" reset 127.0.0.1 8101
	for size in 1 1472 9216 65507; do
		check "datagrams of $size bytes" "$PEER" udp 127.0.0.1 8100 $size 10
	done
	[ "$form" = 2017 ] ||
		check "bytes both ways" "$PEER" both 127.0.0.1 8100 3000017
	kill $FORWARDERPID
	wait $FORWARDERPID 2>/dev/null
	forwarder "$form"
	check "another forwarder" eventually "$PEER" down 127.0.0.1 8100 1003
	PEER_WAIT=5000 "$PEER" udp 127.0.0.1 8100 100 1 >"$DIR/out"
	kill -9 "$(pids_of portd)"
	check "portd died: bytes" eventually "$PEER" down 127.0.0.1 8100 1003
	check "portd died: datagrams" eventually env PEER_WAIT=5000 "$PEER" udp 127.0.0.1 8100 100 5
	release
	kill $FORWARDERPID
	wait $FORWARDERPID 2>/dev/null
}

echo "# below 1024: the supervisor's sockets"
ip -6 addr add fe80::1/64 dev ext0 nodad
suite --publish "[::]:81:$GUEST:7000/udp" --publish 127.0.0.1:80:$GUEST:7000 \
    --publish "[::1]:82:$GUEST:9" --publish 0.0.0.0:82:$GUEST:7000
told_as low
tell_as low "$PEER udpserve $GUEST 7000 >$DIR/served &"
tell_as low "$PEER serve $GUEST 7000 >>$DIR/served &"
eventually sh -c "[ \$(grep -c ready $DIR/served) = 2 ]"
check "datagrams over IPv6" "$PEER" udp ::1 81 9000 10
check "of link-local clients" "$PEER" udp fe80::1%ext0 81 9000 10
check "[::1] beside 127.0.0.1" eventually "$PEER" down ::1 80 1003
check "unless it is asked for" "$PEER" reset ::1 82
check "the other is there without it" "$PEER" down 127.0.0.1 82 1003
check "[::1] is asked for later" status ports add "[::]:80:$GUEST:9"
check "it gives way" "$PEER" reset ::1 80
check "only one can ask for it" refuses 'another forward is there already' \
    ports add "[::1]:80:$GUEST:7000"
check "still that one's" "$PEER" reset ::1 80
check "that is withdrawn" status ports remove "[::]:80"
check "it is back" eventually "$PEER" down ::1 80 1003
tell_as low leave
suite_stop

tunnel mux
tunnel mux-handshake
tunnel 2017 --tunnel-protocol 2017
done_testing
