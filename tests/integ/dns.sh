#!/bin/sh
# dns.sh BUILD: names through a guest, with real servers and real clients.
#
# unbound and dnsmasq are the servers, dig, drill, and the resolvers of glibc
# and musl the clients; the servers' addresses are the lab's.
. "$(dirname "$0")/lib.sh"

need unbound dnsmasq dig dnsperf

# check DNS TEXT ARGS...: the guest's dig prints TEXT.
asks() {
	want=$1
	shift
	got=$("$TAP" --socket "$SOCK" -- dig +tries=1 +time=30 "$@")
	echo "$got" | grep -q -- "$want" || { echo "$got"; return 1; }
}

dnsmasq_at() {
	at=$1
	shift
	dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
	    --no-hosts --listen-address="$at" --bind-interfaces --user=root \
	    --pid-file= --local-ttl=60 --port="${PORT:-53}" "$@" &
	until dig +short +tries=1 +timeout=1 -p "${PORT:-53}" @"$at" \
	    ready.example | grep -q 192.0.2.77; do
		:
	done
}

export VPNKIT_RESOLV_CONF="$DIR/resolv.conf" # whose folder can be watched
lab
ip addr add 192.0.2.2/24 dev ext0
ip addr add 192.0.2.3/24 dev ext0
cat >"$DIR/unbound.conf" <<EOF
server:
	directory: "$DIR"
	username: ""
	chroot: ""
	pidfile: ""
	use-syslog: no
	interface: $SERVER
	access-control: 0.0.0.0/0 allow
	do-daemonize: no
	num-threads: 1
	module-config: "iterator"
	local-zone: "example." static
	local-data: "ready.example. 60 A 192.0.2.77"
	local-data: "one.example. 60 A 198.51.100.1"
	local-data: "mail.example. 60 MX 10 one.example."
	local-data: "odd.example. 60 TYPE65280 \\# 3 616263"
	local-data: 'text.example. 60 TXT "a" "b"'
remote-control:
	control-enable: no
EOF
unbound -d -c "$DIR/unbound.conf" 2>>"$DIR/servers.log" &
until dig +short +tries=1 +timeout=1 @$SERVER ready.example |
    grep -q 192.0.2.77; do
	:
done
dnsmasq_at 192.0.2.2 --log-queries --log-facility="$DIR/asked" \
    --address=/ready.example/192.0.2.77 \
    --address=/corp.example/10.20.0.1 --address=/z255.example/10.20.0.2
ip addr add fd00:2::2/64 dev ext0 nodad
PORT=5353
dnsmasq_at fd00:2::2 --address=/ready.example/192.0.2.77 \
    --address=/six.example/10.66.0.1
PORT=53
echo "10.3.3.3 inhosts.example alias mail.example" >"$DIR/hosts"
suite --hosts "$DIR/hosts" --dns "$DIR/dns.conf"

# Without the file: the host's resolv.conf.
check "A" asks 198.51.100.1 one.example
check "MX" asks "10 one.example" mail.example MX
check "TXT" asks '"a" "b"' text.example TXT
check "an unknown type" asks 616263 odd.example TYPE65280
check "no such name" asks "status: NXDOMAIN" nothing.example
check "no such type" asks "status: NOERROR.*" one.example AAAA
check "over TCP" asks 198.51.100.1 +tcp one.example
check "hosts file" asks 10.3.3.3 INHOSTS.example
check "hosts file, the other family" asks "status: NOERROR" alias AAAA
check "hosts file, another type" asks "status: NOERROR" inhosts.example MX
check "one that the server has" asks "10 one.example" mail.example MX
check "whose address is the hosts file's" asks 10.3.3.3 mail.example
check "a name of our own, another type" asks "status: NOERROR" \
    host.internal HTTPS

check "glibc" sh -c "$TAP --socket $SOCK -- getent ahostsv4 one.example |
    grep -q 198.51.100.1"
if command -v drill >/dev/null; then
	check "drill" sh -c "$TAP --socket $SOCK -- drill one.example |
	    grep -q 198.51.100.1"
fi
if command -v musl-gcc >/dev/null; then
	cat >"$DIR/musl.c" <<'EOF'
#include <netdb.h>
int main(int argc, char **argv) { struct addrinfo *a;
	return getaddrinfo(argv[1], 0, 0, &a) != 0; }
EOF
	mount -o remount,exec "$DIR"
	musl-gcc -static -o "$DIR/musl" "$DIR/musl.c"
	check "musl" "$TAP" --socket "$SOCK" -- "$DIR/musl" one.example
	check_not "musl, no such name" "$TAP" --socket "$SOCK" -- "$DIR/musl" \
	    nothing.example
fi

# follows WHAT WANT ARGS...: the change takes effect.
follows() {
	what=$1
	shift
	check "$what" eventually asks "$@"
}

printf 'nameserver %s\nnameserver 192.0.2.2\nzone corp.example\n' $SERVER \
    >"$DIR/dns.conf"
follows "the file is made: split DNS" 10.20.0.1 www.corp.example
check "other names" asks 198.51.100.1 one.example
{
	printf 'nameserver %s\nnameserver 192.0.2.2\nzone corp.example' $SERVER
	seq -s '' -f ' z%.0f.example' 255
} >"$DIR/dns.conf"
follows "a server with 256 zones" 10.20.0.2 www.z255.example
printf 'nameserver %s\nnameserver fd00:2::2#5353\nzone six.example\n%s\n' \
    $SERVER 'search corp.example lab.example' >"$DIR/dns.conf"
follows "a server with IPv6 and a port" 10.66.0.1 www.six.example
check "the same by TCP" asks 10.66.0.1 +tcp tcp.six.example
check "the search list, by DHCP" eventually sh -c "$TAP --socket $SOCK -- \
    cat /etc/resolv.conf | grep -q '^search corp.example lab.example'"
printf 'nameserver 192.0.2.2\n' >"$DIR/new"
mv "$DIR/new" "$DIR/dns.conf"
follows "the file is replaced" 10.20.0.1 corp.example
echo 'nameserver nowhere' >"$DIR/dns.conf"
check "a wrong file is told with its line" eventually \
    grep -q 'dns.conf:1: not an address' "$LOG"
check "and changes nothing" asks 10.20.0.1 corp.example
: >"$DIR/dns.conf"
follows "an empty file: an error, with its reason" "EDE: 14.*no server" \
    one.example
check "and the log has it" grep -q 'dnsd: no name server' "$LOG"
rm "$DIR/dns.conf"
follows "the file is removed" 198.51.100.1 one.example
echo "10.3.3.4 inhosts.example" >"$DIR/hosts"
follows "another hosts file" 10.3.3.4 inhosts.example
check "which says nothing of the servers' answers" \
    comes '.dnsd["cache-entries"] > 0' counters dnsd
rm "$DIR/hosts"
check "a hosts file that goes" asks 198.51.100.1 one.example

# The same servers again: the host may have changed its network.
# more TEXT N: the log has it more often than that.
more() {
	[ "$(grep -c "$1" "$LOG")" -gt "$2" ]
}
n=$(grep -c "names of our own" "$LOG")
printf 'nameserver %s\n' $SERVER >"$DIR/resolv.conf"
check "resolv.conf is written again" eventually more "names of our own" "$n"

# Or it changes the network and nobody writes that file.
for change in "ip addr add 192.0.2.8/24 dev ext0" \
    "ip addr del 192.0.2.8/24 dev ext0" \
    "ip route add default via 192.0.2.250 metric 999"; do
	n=$(grep -c "names of our own" "$LOG")
	$change
	check "$change" eventually more "names of our own" "$n"
done
ip route del default via 192.0.2.250 metric 999

# Changes under load drop nothing.
seq -f 'h%.0f.corp.example A' 3000 >"$DIR/queries"
printf 'nameserver 192.0.2.2\n' >"$DIR/dns.conf"
follows "the file is made again" 10.20.0.1 corp.example
guest -- dnsperf -m tcp -s $GATEWAY -d "$DIR/queries" -n 1 -q 60 -c 2 -t 60 \
    >"$DIR/dnsperf" 2>&1
check "over two connections" grep -q "NOERROR 3000 (100" "$DIR/dnsperf"
# On a slow machine there may be one or none while one load lasts.
i=0
while [ $i -lt 3 ] && [ $FAILED = 0 ]; do
	guest -- dnsperf -s $GATEWAY -d "$DIR/queries" -n 1 -q 20 -Q 1500 \
	    -t 60 >"$DIR/dnsperf" 2>&1 &
	load=$!
	while kill -0 $load 2>/dev/null; do
		n=$(grep -c "dns.conf: new name servers" "$LOG")
		printf 'nameserver 192.0.2.2\norder %d\n' $((i + 1)) >"$DIR/new"
		mv "$DIR/new" "$DIR/dns.conf"
		eventually more "dns.conf: new name servers" "$n"
		i=$((i + 1))
	done
	wait $load
	check "$i changes under load" grep -q "NOERROR 3000 (100" \
	    "$DIR/dnsperf"
done
[ $FAILED = 0 ] || cat "$DIR/dnsperf"

# What leads to a server may change, and nothing else does that is followed.
asked_from() {
	seq -f "$1%.0f.corp.example A" 2000 >"$DIR/queries"
	guest -- dnsperf -s $GATEWAY -d "$DIR/queries" -n 1 -q 20 -t 60 \
	    >"$DIR/dnsperf" 2>&1
	tail -n 100 "$DIR/asked" | grep -q "$1.* from $2" &&
	    grep -q "NOERROR 2000 (100" "$DIR/dnsperf"
}
check "asks by the address that leads there" asked_from a $SERVER
ip route change local 192.0.2.2 dev ext0 table local scope host src 192.0.2.3
check "and by another one when that does" asked_from b 192.0.2.3
ip route change local 192.0.2.2 dev ext0 table local scope host src $SERVER
rm "$DIR/dns.conf"
follows "the host's servers again" 198.51.100.1 one.example

# A dead server first: it costs little, and soon nothing.
printf 'nameserver 192.0.2.3\nnameserver %s\n' $SERVER >"$DIR/resolv.conf"
follows "a dead server before a good one" 198.51.100.1 one.example
printf 'nameserver 198.51.100.9\n' >"$DIR/resolv.conf"
follows "no server: an error, with its reason" "EDE: 2[23]" never.example
done_testing
