#!/bin/sh
# bench.sh BUILD [-r RUNS] [-s SECONDS] [-o OUT] [-p PEERS] [-g GROUPS]
#
# Measures the suite beside passt, pasta and slirp4netns, in one run, on this
# machine.
#
#   guest namespace (a real kernel)              the namespace under test
#   iperf3 / load -> tap0 -> tapshim == socket == PEER -> host sockets -> 192.0.2.1
#
# Every peer reaches the same servers at the same address by ordinary connects.
# tapshim moves frames between TAP and socket and does the segmentation that a
# virtio card would, so that the guest is cheap and the peer is what is
# measured.  slirp4netns-bess is slirp4netns attached the same way.  By itself
# it has a TAP of its own, and one hop less, as pasta has, and vpnkit-tap: the
# suite with a namespace that has handed its TAP over.  CPU is user and system
# time of all of a peer's processes.  OUT gets results.jsonl (a line for each
# run) and table.md (medians).
#
# The machine's own speed changes from minute to minute, so the peers are up
# beside one another and take turns of a few seconds; who has no turn has
# nothing to do.  Only ratios within one run mean anything.
#
# Groups: tcp (MTU 1500 and 65520, 1 and 8 streams, both ways), lat, conn, udp,
# dns (an upstream here, and one FAR_MS away), mem, watch (what it takes to look
# at 10,000 flows of ours, and what top costs those who are looked at), pub
# (published ports of the guest, clients on the host: published on its loopback,
# which pasta joins to the guest's loopback without a stack, and on another
# address), http (the same guest through squid, asking it directly and
# intercepted; needs squid and nginx).
# Needs root, iperf3, ethtool, iproute2, and the peers.
set -eu

BUILD=$(cd "$1" && pwd)
shift
RUNS=3 SECS=2 OUT=bench-out
PEERS="vpnkit vpnkit-tap passt pasta slirp4netns-bess slirp4netns"
GROUPS_="tcp lat conn udp dns mem watch pub http"
PUBLISH=  # ports through which the way in is open
ON=       # the address of the host that they are published on
HTTPCONF= # requests are intercepted
while getopts r:s:o:p:g: opt; do
	case $opt in
	r) RUNS=$OPTARG ;;
	s) SECS=$OPTARG ;;
	o) OUT=$OPTARG ;;
	p) PEERS=$OPTARG ;;
	g) GROUPS_=$OPTARG ;;
	*) exit 2 ;;
	esac
done
HERE=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
LOAD=$BUILD/tests/bench/load
SHIM=$BUILD/tests/bench/tapshim
SERVER=192.0.2.1
FAR=192.0.2.53 # a name server, FAR_MS away
FAR_MS=5       # as table.sh says
PLAIN=192.0.3 # the same machine's, over a veth of each guest's own
OTHER=192.0.4 # the same machine's, one for each guest, where no server listens

# Everything below runs in namespaces that end with this process, however it
# ends, and with them whatever was started there.
outside() {
	[ "$(id -u)" = 0 ] || { echo "SKIP bench: needs root"; exit 77; }
	BENCH_DIR=$(mktemp -d)
	export BENCH_DIR
	inner=
	trap 'status=$?
		[ -z "$inner" ] || kill -KILL "$inner" 2>/dev/null || :
		rmdir "$BENCH_DIR"
		exit $status' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	setpriv --pdeathsig KILL unshare --net --mount --pid --fork \
	    --kill-child --mount-proc --propagation private -- \
	    "$HERE/bench.sh" "$BUILD" -r "$RUNS" -s "$SECS" -o "$OUT" \
	    -p "$PEERS" -g "$GROUPS_" &
	inner=$!
	status=0
	wait "$inner" || status=$?
	inner=
	exit $status
}

[ -n "${BENCH_DIR:-}" ] || outside
DIR=$BENCH_DIR
mount -t tmpfs none "$DIR"
chmod 755 "$DIR"
ulimit -n "$(ulimit -Hn)"

# --- the namespace under test: servers, and a route to somewhere ----------
tune() {
	"$@" sysctl -qw net.ipv4.ip_local_port_range="1024 65000" \
	    net.ipv4.tcp_tw_reuse=1 net.ipv4.tcp_max_tw_buckets=400000 \
	    net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535 \
	    net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || :
}
tune
ip link set lo up
ip link add ext0 type veth peer name ext1
ip addr add $SERVER/24 dev ext0
ip link set ext0 up
ip link set ext1 up
ip route add default via 192.0.2.254
echo "nameserver $SERVER" >"$DIR/resolv.conf"
mount --bind "$DIR/resolv.conf" /etc/resolv.conf
"$LOAD" serve $SERVER >/dev/null 2>&1 &
iperf3 -s -B $SERVER >/dev/null 2>&1 &
case " $GROUPS_ " in
*" dns "*)
	# Names that may be kept for an hour, and names that may not be kept.
	seq -f 'host-record=h%g.kept,192.0.2.98,3600' 2000 >"$DIR/kept.conf"
	seq -f "listen-address=$PLAIN.%g" 1 4 61 >>"$DIR/kept.conf"
	dnsmasq --keep-in-foreground --conf-file="$DIR/kept.conf" --no-resolv \
	    --no-hosts --listen-address=$SERVER --bind-dynamic \
	    --address=/bench/192.0.2.99 \
	    --user=root --pid-file= --cache-size=0 &
	ip addr add $FAR/32 dev ext0
	"$LOAD" dnsdelay $FAR $FAR_MS $SERVER 2>>"$OUT/log" &
	seq -f 'h%g.bench A' 2000 >"$DIR/queries"
	seq -f 'h%g.kept A' 2000 >"$DIR/kept"
	;;
esac

# An origin and a proxy before it that keeps nothing.
serve_http() {
	mkdir "$DIR/www" "$DIR/web"
	chmod 777 "$DIR/web"
	head -c 1000 /dev/zero >"$DIR/www/small"
	head -c 100000000 /dev/zero >"$DIR/www/big"
	cat >"$DIR/nginx.conf" <<N
daemon off;
worker_processes 1;
pid $DIR/web/nginx.pid;
error_log $DIR/web/error.log;
events { worker_connections 8192; }
http {
	access_log off;
	client_body_temp_path $DIR/web/body;
	proxy_temp_path $DIR/web/proxy;
	fastcgi_temp_path $DIR/web/fastcgi;
	uwsgi_temp_path $DIR/web/uwsgi;
	scgi_temp_path $DIR/web/scgi;
	keepalive_requests 100000000;
	sendfile on;
	server { listen $SERVER:80 backlog=4096; root $DIR/www; }
}
N
	nginx -c "$DIR/nginx.conf" 2>>"$OUT/log" &
	cat >"$DIR/squid.conf" <<S
http_port $SERVER:3128
http_access allow all
cache deny all
pid_filename none
cache_log $DIR/web/cache.log
access_log none
coredump_dir $DIR/web
visible_hostname bench.example
shutdown_lifetime 0 seconds
pinger_enable off
max_filedescriptors 16384
S
	squid -N -f "$DIR/squid.conf" >>"$OUT/log" 2>&1 &
	printf '{"http": "%s:3128"}\n' $SERVER >"$DIR/http.json"
}
case " $GROUPS_ " in
*" http "*)
	if command -v squid nginx >/dev/null; then
		serve_http
	else
		echo "SKIP http: squid or nginx is not installed"
		GROUPS_=$(echo " $GROUPS_ " | sed 's/ http / /')
	fi
	;;
esac

# --- a peer and its guest --------------------------------------------------
tree() {
	echo "$1"
	for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
		tree "$child"
	done
}

# CPU seconds so far of a process and all below it.
cpu() {
	for pid in $(tree "$1"); do
		sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null
	done | awk -v hz="$(getconf CLK_TCK)" '{ t += $12 + $13 }
	    END { printf "%.3f", t / hz }'
}

# Resident kB of a process and all below it, shared pages counted once.
rss() {
	for pid in $(tree "$1"); do
		cat "/proc/$pid/smaps_rollup" 2>/dev/null
	done | awk '/^Pss:/ { t += $2 } END { print t + 0 }'
}

in_guest() {
	nsenter -t "$GUEST" -n -- "$@"
}

wait_for() {
	n=0
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 2000 ] || { echo "waited too long: $*" >&2; return 1; }
		sleep 0.01
	done
}

# It makes the guest's namespace itself.
start_pasta() {
	addr=10.0.2.15 dns=10.0.2.3 sock=
	ports=$(echo $PUBLISH | tr ' ' ,)
	pasta -f -e -4 --config-net -I tap0 -a $addr -n 255.255.255.0 \
	    -g 10.0.2.2 -m "$mtu" --dns-forward $dns --runas 0 \
	    -t "${ports:+$ON/}${ports:-none}" -T none -u none -U none -- \
	    sleep infinity >>"$OUT/log" 2>&1 &
	PEER=$!
	wait_for pgrep -P $PEER -x sleep
	GUEST=$(pgrep -P $PEER -x sleep)
	wait_for sh -c "nsenter -t $GUEST -n ip route | grep -q default"
	tune in_guest
	in_guest ip link set tap0 mtu "$mtu" txqueuelen 4096
	wait_for in_guest "$LOAD" connrate $SERVER 0.01 1
}

# Starts $peer, the $nth, with $mtu.
start() {
	shimpid= servers=
	if [ "$peer" = pasta ]; then
		start_pasta
		return
	fi
	unshare -n sleep infinity &
	GUEST=$!
	wait_for sh -c "[ \"\$(readlink /proc/$GUEST/ns/net)\" != \
	    \"\$(readlink /proc/$$/ns/net)\" ]"
	tune in_guest
	in_guest ip link set lo up
	sock=$DIR/sock.$nth
	rm -f "$sock"
	gw=10.0.2.2 addr=10.0.2.15 dns=10.0.2.3 framing=
	case $peer in
	vpnkit | vpnkit-tap)
		gw=192.168.65.1 addr=192.168.65.3 dns=$gw framing=vmnet
		args=${HTTPCONF:+--http $HTTPCONF}
		for port in $PUBLISH; do
			args="$args --publish $ON:$port:$addr:$port"
		done
		# shellcheck disable=SC2086
		"$BUILD/vpnkit/vpnkit" --ethernet "$sock" --mtu "$mtu" $args \
		    2>>"$OUT/log" &
		;;
	passt)
		framing=qemu
		ports=$(echo $PUBLISH | tr ' ' ,)
		passt ${ports:+-t $ON/$ports} -f -e -4 -s "$sock" -a $addr -n 255.255.255.0 -g $gw \
		    -m "$mtu" --dns-forward $dns --runas 0 >>"$OUT/log" 2>&1 &
		;;
	slirp4netns-bess)
		framing=seq addr=10.0.2.100
		slirp4netns --target-type=bess --mtu="$mtu" "$sock" \
		    >>"$OUT/log" 2>&1 &
		;;
	slirp4netns)
		addr=10.0.2.100
		rm -f "$DIR/api"
		slirp4netns --configure --mtu="$mtu" --api-socket "$DIR/api" \
		    --netns-type=path \
		    "/proc/$GUEST/ns/net" tap0 >>"$OUT/log" 2>&1 &
		;;
	*)
		echo "no such peer: $peer" >&2
		return 1
		;;
	esac
	PEER=$!
	if [ "$peer" = vpnkit-tap ]; then
		wait_for [ -S "$sock" ]
		"$BUILD/tools/vpnkit-tap" --socket "$sock" \
		    --netns "/proc/$GUEST/ns/net" -- sleep infinity \
		    2>>"$OUT/log" &
		shimpid=$!
		wait_for in_guest "$LOAD" connrate $SERVER 0.01 1
		return
	fi
	if [ -z "$framing" ]; then
		wait_for sh -c "nsenter -t $GUEST -n ip route | grep -q default"
		for port in $PUBLISH; do
			printf '{"execute": "add_hostfwd", "arguments": {"proto":
			    "tcp", "host_addr": "%s", "host_port": %d,
			    "guest_addr": "%s", "guest_port": %d}}' \
			    $ON "$port" $addr "$port" | tr -d '\n\t' |
			    socat -t 5 - "UNIX:$DIR/api" >>"$OUT/log"
		done
		return
	fi
	wait_for [ -S "$sock" ]
	TAPSHIM_VIF=$DIR/vif nsenter -t "$GUEST" -n -- "$SHIM" -i tap0 \
	    -s "$sock" -f $framing -o -m "$mtu" -r "$DIR/shim.stat" \
	    2>>"$OUT/log" &
	shimpid=$!
	wait_for in_guest ip link show tap0
	mac=52:54:00:12:34:56
	if [ $framing = vmnet ]; then
		wait_for [ -s "$DIR/vif" ]
		mac=$(cut -d' ' -f1 "$DIR/vif")
		rm "$DIR/vif"
	fi
	in_guest ip link set tap0 address "$mac" mtu "$mtu" txqueuelen 4096
	in_guest ip addr add $addr/24 dev tap0
	in_guest ip link set tap0 up
	in_guest ip route add default via $gw
	wait_for in_guest "$LOAD" connrate $SERVER 0.01 1
}

stop() {
	for pid in $servers $shimpid $PEER; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	# Below pasta it is the first of its own namespace, and holds sockets.
	kill -KILL "$GUEST" 2>/dev/null || :
	wait "$GUEST" 2>/dev/null || :
}

# While others have their turn, what is known of a peer is in a file.
keep() {
	for v in peer PEER GUEST shimpid servers sock addr dns ON; do
		eval "echo \"$v='\$$v'\""
	done >"$DIR/peer.$nth"
}

# by_turns MTU READY MEASURE...: the peers beside one another, each made READY,
# which may say that it is not for this; then RUNS times each its measures.
by_turns() {
	mtu=$1 ready=$2 up='' nth=0
	shift 2
	for peer in $PEERS; do
		nth=$((nth + 1))
		"$ready" || continue
		keep
		up="$up $nth"
	done
	for run in $(seq "$RUNS"); do
		for nth in $up; do
			. "$DIR/peer.$nth"
			"$@"
		done
	done
	for nth in $up; do
		. "$DIR/peer.$nth"
		stop
	done
}

# one_by_one MTU MEASURE...: each alone, and once.
one_by_one() {
	mtu=$1 run=1 nth=1
	shift
	for peer in $PEERS; do
		start
		"$@"
		stop
	done
}

# Where clients run, and where to.
where=in_guest at=$SERVER

# record TEST VALUE CPU [BYTES]: one line of results.
record() {
	printf '{"peer":"%s","test":"%s","run":%d,"value":%s,"cpu_s":%s,"bytes":%s}\n' \
	    "$peer" "$1" "$run" "${2:-null}" "$3" "${4:-null}" \
	    >>"$OUT/results.jsonl"
	printf '%-12s %-24s #%d  %s\n' "$peer" "$1" "$run" "${2:-failed}"
}

# measure TEST PATTERN COMMAND...: the number behind PATTERN= in its output.
measure() {
	test=$1 pattern=$2
	shift 2
	c0=$(cpu "$PEER")
	text=$($where timeout 90 "$@" 2>&1) || :
	c1=$(cpu "$PEER")
	value=$(echo "$text" | sed -n "s/.*$pattern\([0-9.]*\).*/\1/p" | tail -n 1)
	record "$test" "$value" "$(echo "$c1 $c0" | awk '{ print $1 - $2 }')"
}

iperf() {
	test=$1
	shift
	c0=$(cpu "$PEER")
	bytes=$($where timeout 60 iperf3 -c $at -t "$SECS" -J "$@" 2>&1 |
	    awk '/"sum_received"/ { on = 1 } on && /"bytes"/ { gsub(/[^0-9]/, "");
	    print; exit }')
	c1=$(cpu "$PEER")
	record "$test" "$(echo "${bytes:-0} $SECS" |
	    awk '{ printf "%.3f", $1 * 8 / $2 / 1e9 }')" \
	    "$(echo "$c1 $c0" | awk '{ print $1 - $2 }')" "${bytes:-0}"
}

tcp_runs() {
	for streams in 1 8; do
		iperf "tcp_up_${mtu}_$streams" -P $streams
		iperf "tcp_down_${mtu}_$streams" -P $streams -R
	done
}

group_tcp() {
	by_turns 1500 start tcp_runs
	by_turns 65520 start tcp_runs
}

group_lat() {
	by_turns 1500 start measure rtt_us p50= \
	    "$LOAD" pingpong $SERVER "$SECS"
}

conn_runs() {
	measure conn_1 rate= "$LOAD" connrate $SERVER "$SECS" 1
	measure conn_64 rate= "$LOAD" connrate $SERVER "$SECS" 64
}

group_conn() {
	by_turns 1500 start conn_runs
}

udp_runs() {
	for size in 64 1400; do
		measure udp_echo_$size echo_pps= \
		    "$LOAD" udpecho $SERVER $size 64 "$SECS"
		measure udp_up_$size recv_pps= \
		    "$LOAD" udpflood $SERVER $size "$SECS"
		measure udp_down_$size recv_pps= \
		    "$LOAD" udppull $SERVER $size "$SECS"
	done
}

group_udp() {
	by_turns 1500 start udp_runs
}

# names TEST SERVER FILE: one turn's questions of the guest.
names() {
	c0=$(cpu "$PEER")
	$where timeout 90 dnsperf -s "$2" -d "$3" -l "$turn" -c 4 -T 1 -q 64 \
	    -t 2 2>&1 | awk -v test="$1" '/completed:/ { n = $3 }
	    /Run time/ { t = $4 } END { print test, n + 0, t + 0 }' |
	    tr '\n' ' ' >>"$DIR/turns"
	c1=$(cpu "$PEER")
	echo "$c1 $c0" | awk '{ print $1 - $2 }' >>"$DIR/turns"
}

# Besides, a way past the peer.
start_plain() {
	start
	plain=$PLAIN.$((nth * 4 - 3))
	ip link add plain$nth type veth peer name plain netns "$GUEST"
	ip addr add $plain/30 dev plain$nth
	ip link set plain$nth up
	in_guest ip addr add $PLAIN.$((nth * 4 - 2))/30 dev plain
	in_guest ip link set plain up
	wait_for in_guest dig +tries=1 +timeout=1 @$plain h1.kept
}

# dns_turns "TEST SERVER FILE"...: they take turns within each run as well.
dns_turns() {
	turn=$(echo "$SECS" | awk '{ print $1 / 4 }')
	: >"$DIR/turns"
	for i in 1 2 3 4; do
		for way; do
			# shellcheck disable=SC2086
			names $way
		done
	done
	awk '{ n[$1] += $2; t[$1] += $3; c[$1] += $4 }
	    END { for (i in n) print i, t[i] ? n[i] / t[i] : "null", c[i] }' \
	    "$DIR/turns" >"$DIR/sums"
	while read -r test value cpu; do
		record "$test" "$value" "$cpu"
	done <"$DIR/sums"
}

# One upstream, asked four ways: by the peer's own resolver, names that it may
# not keep and names that it may; at its own address, through the peer; and
# past the peer, over a veth between the two namespaces.
dns_runs() {
	dns_turns "dns_qps $dns $DIR/queries" \
	    "dns_direct $SERVER $DIR/queries" \
	    "dns_kept $dns $DIR/kept" \
	    "dns_plain $PLAIN.$((nth * 4 - 3)) $DIR/queries"
}

# An upstream as far away as one in another network, two ways.
dns_far_runs() {
	dns_turns "dns_far $dns $DIR/queries" \
	    "dns_far_direct $FAR $DIR/queries"
}

group_dns() {
	by_turns 1500 start_plain dns_runs
	echo "nameserver $FAR" >"$DIR/resolv.conf"
	by_turns 1500 start dns_far_runs
	echo "nameserver $SERVER" >"$DIR/resolv.conf"
}

mem_run() {
	before=$(rss "$PEER")
	c0=$(cpu "$PEER")
	mkfifo "$DIR/hold" "$DIR/said"
	in_guest "$LOAD" idle $SERVER 4000 64 <"$DIR/hold" >"$DIR/said" 2>&1 &
	exec 8>"$DIR/hold" 9<"$DIR/said"
	read -r said <&9
	n=$(echo "$said" | sed -n 's/.*ok=\([0-9]*\).*/\1/p')
	record idle_kb_each "$(echo "$(rss "$PEER") $before ${n:-0}" |
	    awk '{ printf "%.3f", $3 ? ($1 - $2) / $3 : 0 }')" \
	    "$(echo "$(cpu "$PEER") $c0" | awk '{ print $1 - $2 }')"
	exec 8>&- 9<&-
	rm "$DIR/hold" "$DIR/said"
}

group_mem() {
	one_by_one 1500 mem_run
}

# Bytes the guest's card has received, and when.
received() {
	echo "$(in_guest awk '/tap0:/ { print $2 }' /proc/net/dev) $(date +%s%N)"
}

# phase TEST: what arrives in SECS.
phase() {
	c0=$(cpu "$PEER") p0=$(received)
	sleep "$SECS"
	p1=$(received) c1=$(cpu "$PEER")
	record "$1" "$(echo "$p0 $p1" | awk '{ print ($3 - $1) * 8 / ($4 - $2) }')" \
	    "$(echo "$c1 $c0" | awk '{ print $1 - $2 }')"
}

watched() {
	mkfifo "$DIR/keys"
	TERM=xterm script -qec "stty cols 200 rows 50; $status top -d 1" \
	    /dev/null <"$DIR/keys" >"$DIR/top" 2>&1 &
	exec 7>"$DIR/keys"
	wait_for grep -q flows "$DIR/top"
	phase tcp_watched
	printf q >&7
	exec 7>&-
	wait $! || :
	rm "$DIR/keys"
}

# Ours only, with 10,000 idle flows.  The time of one `vpnkit-status flows`,
# all of it; and throughput of one connection, by turns beside a `top` and
# without, each as often first: between two connections there is more
# difference than between these.
watch_runs() {
	[ "${peer%-tap}" = vpnkit ] || return 0
	status="$BUILD/tools/vpnkit-status -s $sock"
	mkfifo "$DIR/hold" "$DIR/said"
	in_guest "$LOAD" idle $SERVER 10000 64 <"$DIR/hold" >"$DIR/said" 2>&1 &
	exec 8>"$DIR/hold" 9<"$DIR/said"
	read -r said <&9
	wait_for sh -c "[ \$($status flows | wc -l) -gt 10000 ]"
	for run in $(seq "$RUNS"); do
		t0=$(date +%s%N)
		n=$($status flows | wc -l)
		t1=$(date +%s%N)
		record status_flows_ms $(((t1 - t0) / 1000000)) 0
		record status_flows_n "$((n - 1))" 0
	done
	in_guest iperf3 -c $SERVER -t 3600 -R >/dev/null 2>&1 &
	stream=$!
	wait_for sh -c "$status --json flows | grep -q '\"bytes-received\": [0-9]\{10\}'"
	for run in $(seq "$RUNS"); do
		[ $((run % 2)) = 0 ] || watched
		phase tcp_unwatched
		[ $((run % 2)) = 1 ] || watched
	done
	kill $stream
	wait $stream || :
	exec 8>&- 9<&-
	rm "$DIR/hold" "$DIR/said"
}

group_watch() {
	one_by_one 65520 watch_runs
}

# The guest's servers by ports of the host, on an address of the peer's own.
start_pub() {
	[ "$peer" != slirp4netns-bess ] || return 1
	ON=$net.$nth PUBLISH="5201 $(seq -s ' ' 7100 7115)"
	case $ON in
	127.*) ;;
	*) ip addr replace $ON/32 dev ext0 ;;
	esac
	start
	PUBLISH=
	nsenter -t "$GUEST" -n "$LOAD" serve 0.0.0.0 >/dev/null 2>&1 &
	servers=$!
	nsenter -t "$GUEST" -n iperf3 -s >/dev/null 2>&1 &
	servers="$servers $!"
	wait_for "$LOAD" connrate $ON 0.01 1
	wait_for iperf3 -c $ON -n 1M
}

# pub_runs ROW
pub_runs() {
	at=$ON where=
	iperf "$1_in_$mtu" -P 1
	iperf "$1_out_$mtu" -P 1 -R
	if [ "$mtu" = 1500 ]; then
		measure "$1_rtt_us" p50= "$LOAD" pingpong $at "$SECS"
		measure "$1_conn_1" rate= "$LOAD" connrate $at "$SECS" 1
		measure "$1_conn_64" rate= "$LOAD" connrate $at "$SECS" 64
	fi
	at=$SERVER where=in_guest
}

group_pub() {
	for m in 1500 65520; do
		net=127.0.0
		by_turns $m start_pub pub_runs pub_lo
		net=$OTHER
		by_turns $m start_pub pub_runs pub
	done
}

# http_both TEST NAME PATH COUNT: straight to squid, and, of a peer that can,
# to the origin and intercepted, in turns within each run.
http_both() {
	c0=$(cpu "$PEER")
	# shellcheck disable=SC2086
	text=$(in_guest timeout 90 "$LOAD" http $SERVER "$4" "$SECS" 3128 \
	    "http://$SERVER/$3" ${own:+80 /$3} 2>&1) || :
	used=$(echo "$(cpu "$PEER") $c0" | awk '{ print $1 - $2 }')
	# Refusals would be quick.
	case $text in *bad=[1-9]*) text= ;; esac
	for way in direct:" " ${own:+us:second_}; do
		record "$1_${way%%:*}" "$(echo " $text" |
		    sed -n "s/.*${way#*:}$2=\([0-9.]*\).*/\1/p")" "$used"
	done
}

# What a kept connection with an idle one behind it costs, in all processes.
http_memory() {
	before=$(rss "$PEER")
	mkfifo "$DIR/hold" "$DIR/said"
	in_guest "$LOAD" httphold $SERVER 1000 80 /small <"$DIR/hold" \
	    >"$DIR/said" 2>&1 &
	exec 8>"$DIR/hold" 9<"$DIR/said"
	read -r said <&9
	n=$(echo "$said" | sed -n 's/.*ok=\([0-9]*\).*/\1/p')
	record http_kb_each "$(echo "$(rss "$PEER") $before ${n:-0}" |
	    awk '{ printf "%.3f", $3 ? ($1 - $2) / $3 : 0 }')" 0
	exec 8>&- 9<&-
	rm "$DIR/hold" "$DIR/said"
}

start_http() {
	[ "${peer%-tap}" != vpnkit ] || HTTPCONF=$DIR/http.json
	start
	HTTPCONF=
	wait_for in_guest "$LOAD" http $SERVER 1 0.01 3128 \
	    "http://$SERVER/small"
	run=1
	[ "${peer%-tap}" != vpnkit ] || http_memory
}

http_runs() {
	own=
	[ "${peer%-tap}" != vpnkit ] || own=1
	for count_ in 1 64 1000; do
		http_both http_rps_$count_ rate small $count_
	done
	http_both http_gbps gbps big 4
}

group_http() {
	by_turns 1500 start_http http_runs
}

: >"$OUT/results.jsonl"
: >"$OUT/log"
for peer in $PEERS; do
	case $peer in
	vpnkit | vpnkit-tap) ;;
	*) command -v "${peer%-bess}" >/dev/null || {
		echo "SKIP $peer: not installed"
		PEERS=$(echo " $PEERS " | sed "s/ $peer / /")
	} ;;
	esac
done
for group in $GROUPS_; do
	"group_$group" || echo "$group failed" >&2
done
"$HERE/table.sh" "$OUT/results.jsonl" >"$OUT/table.md"
cat "$OUT/table.md"
