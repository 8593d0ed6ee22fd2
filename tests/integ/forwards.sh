#!/bin/sh
# --forwards: destinations that a guest reaches through a Unix socket, whose
# other end is asked first; and ports below 1024 without a privilege.
. "$(dirname "$0")/lib.sh"

need ip python3 socat curl
lab
CONF=$DIR/forwards
PORTS=$DIR/u/port.sock
NINEP=$BUILD/tests/integ/ports9p

entry() {
	printf '{"protocol":"tcp","dst_prefix":"%s","dst_port":%d,"path":"%s"}' "$@"
}

# Into the file's place, in one step.
forwards() {
	printf '[%s]' "$1" >"$CONF.new"
	mv "$CONF.new" "$CONF"
}

once() {
	guest --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa -- "$@"
}

said() {
	eventually grep -q "$@" "$LOG"
}

said_twice() {
	eventually sh -c "[ \$(grep -c '$1' '$LOG') -ge 2 ]"
}

server python3 "$HERE/via.py" "$DIR/via.sock" "$DIR/asked"
forwards "$(entry 10.0.0.0/8 0 "$DIR/via.sock"),$(entry 172.16.0.0/16 90 "$DIR/none.sock"),$(entry 172.16.0.0/12 0 "$DIR/via.sock")"
suite --forwards "$CONF"
check "bytes to it" once "$PEER" up 10.1.2.3 80 3000017
check "bytes from it" once "$PEER" down 10.1.2.3 80 3000017
check "half an end" once "$PEER" half 10.1.2.3 80 100003
check "what is asked" grep -qxF \
    '{"protocol":"tcp","src_ip":"0.0.0.0","src_port":0,"dst_ip":"10.1.2.3","dst_port":80}' "$DIR/asked"
check "not accepted: refused" once "$PEER" refused 10.1.2.3 81
check "junk: refused" once "$PEER" refused 10.1.2.3 82
check "an end: refused" once "$PEER" refused 10.1.2.3 83
check "a lie and an end: refused" once "$PEER" refused 10.1.2.3 84
check "bytes behind the answer are the stream's" once sh -c \
    'socat -T 60 -u TCP:10.1.2.3:85 - | grep -qx "behind the answer"'
check "the first that fits wins: nobody there" once "$PEER" refused 172.16.0.1 90
check "another port of the same" once "$PEER" down 172.16.0.1 80 1003
check "others go as ever" once "$PEER" down $SERVER 7000 1003

echo "# the file is followed"
forwards "$(entry 10.0.0.0/16 80 "$DIR/via.sock")"
check "a new one" said 'forwards: new forwards'
check "leads there" eventually once "$PEER" down 10.0.2.3 80 1003
printf '[{"protocol":"udp"}]' >"$CONF"
check "one that is wrong is said" said 'protocol must be tcp; the forwards stay'
check "and changes nothing" once "$PEER" down 10.0.2.3 80 1003
rm "$CONF"
check "one that is gone" said_twice 'forwards: new forwards'
forwards "$(entry 10.5.0.0/16 80 "$DIR/via.sock")"
check "made later" eventually once "$PEER" down 10.5.2.3 80 1003

echo "# portd and front die"
kill -9 "$(pids_of portd)"
check "portd" eventually once "$PEER" down 10.5.2.3 80 1003
kill -9 "$(pids_of front)"
check "front" eventually once "$PEER" down 10.5.2.3 80 1003
suite_stop

echo "# ports below 1024, as an ordinary user"
echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start
mkdir "$DIR/u" "$DIR/bin"
chown 65534:65534 "$DIR/u"
cp "$VPNKIT" "$BUILD"/*d/ethd "$BUILD"/*d/netstackd "$BUILD"/*d/dnsd \
    "$BUILD"/*d/proxyd "$BUILD"/*d/portd "$DIR/bin"
chmod 755 "$DIR"/bin/*
VPNKIT=$DIR/bin/vpnkit SOCK=$DIR/u/eth.sock
export VPNKIT_LIBEXECDIR="$DIR/bin"
WRAP="setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all"
suite --port "$PORTS" --publish 127.0.0.1:80:$GUEST:80 --publish 127.0.0.1:81:$GUEST:80/udp
check "the log says what to do" said 'port 80: ports below 1024 need a privilege: give vpnkit CAP_NET_BIND_SERVICE .* (EACCES)'
check "of UDP, too" said 'port 81: ports below 1024 need a privilege'
eventually test -S "$PORTS"
"$NINEP" hold "$PORTS" "tcp:127.0.0.1:82:tcp:$GUEST:80" </dev/null >"$DIR/told"
check "9P is told what Docker knows" grep -qx \
    'ERROR Bind for 127.0.0.1:82 failed: permission denied' "$DIR/told"
curl -sS --unix-socket "$PORTS" http://unix/forwards/expose/port -d \
    "{\"proto\":\"tcp\",\"out_ip\":\"127.0.0.1\",\"out_port\":83,\"in_ip\":\"$GUEST\",\"in_port\":80}" >"$DIR/told"
check "HTTP, what to do" grep -q 'listen tcp 127.0.0.1:83: bind: permission denied.*CAP_NET_BIND_SERVICE' "$DIR/told"
echo 80 >/proc/sys/net/ipv4/ip_unprivileged_port_start
kill -HUP "$SUITE"
check "tried again when it is told to" said 'publish 127.0.0.1:80:.*: port 80$'
done_testing
