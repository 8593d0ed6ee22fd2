#!/bin/sh
# loss.sh BUILD [MODE [MTU]]: TCP over a link that loses frames, with every byte
# compared.  A real kernel as guest is behind losslink, which is behind the
# suite.  Nothing here depends on speed, but a transfer that stops for good
# runs into the time limit of the test.
#
# The others are also a measurement: each transfer beside the same between two
# kernels over the same link, as a table of MB/s, which with its head is
# written to BUILD/loss.txt, or loss-MTU.txt: that is how loss.txt beside this
# script was made.
#
# long: 1 GB each way of the suite for each loss and congestion control, at that
#	MTU; of the two kernels, as much as they do in 20 seconds.  A transfer
#	that takes longer than two hours has failed.
# table: three seconds of each, three times, of which the median counts; about
#	25 minutes.  At 1 % and 1 ms the guest must get 80 % of what two
#	kernels get.
#
# BYTES, EACH (seconds for each transfer in place of bytes), MTUS, LOSSES, CCS,
# RUNS and DELAY (usec, each way) choose another.
. "$(dirname "$0")/lib.sh"

LOSSLINK=$BUILD/tests/integ/losslink
MODE=${2:-short} ONLY=${3:-}
SET=$(env | grep -E '^(BYTES|EACH|MTUS|LOSSES|CCS|RUNS|DELAY)=' | sort | sed "s/=\(.*\)/='\1'/" | xargs -d '\n')
case $MODE in
short)
	BYTES=${BYTES:-20000003} MTUS=${MTUS:-1500 65521}
	CCS=cubic RUNS=1
	;;
long)
	BYTES=${BYTES:-1000000007} MTUS=${ONLY:-${MTUS:-576 1500 9000 65521}}
	CCS=${CCS:-cubic bbr} RUNS=${RUNS:-1}
	;;
table)
	EACH=${EACH:-3} MTUS=${MTUS:-576 1500 9000 65521}
	CCS=${CCS:-cubic bbr} RUNS=${RUNS:-3}
	;;
esac
BYTES=${BYTES:-} EACH=${EACH:-}
LOSSES=${LOSSES:-0 0.1 1 5}
DELAY=${DELAY:-1000}
need ip awk timeout

# Those that this kernel has; the others are named.
has_cc() {
	available=/proc/sys/net/ipv4/tcp_available_congestion_control
	grep -qw "$1" $available || modprobe -q "tcp_$1" 2>/dev/null
	grep -qw "$1" $available
}
WANTED=$CCS CCS=
for c in $WANTED; do
	if has_cc "$c"; then
		CCS="$CCS $c"
	else
		echo "SKIP $NAME: this kernel has no congestion control $c"
	fi
done
[ -n "$CCS" ] || exit 77

# What runs at the end that is called guest: one line "DOWN UP", bytes/s.
# The first connection only makes the two ends known to each other.
cat >"$DIR/inside.sh" <<'E2'
PEER=$1 SERVER=$2 BYTES=$3 EACH=$4
rate() {
	if [ -n "$EACH" ]; then
		"$PEER" "$1for" "$SERVER" 7000 $((EACH * 1000))
		return
	fi
	from=$(date +%s%N)
	timeout 7200 "$PEER" "$1" "$SERVER" 7000 "$BYTES" >/dev/null || exit 1
	to=$(date +%s%N)
	echo $((BYTES * 10000 / ((to - from) / 100000)))
}
"$PEER" down "$SERVER" 7000 1 >/dev/null || exit 1
down=$(rate down) || exit 1
up=$(rate up) || exit 1
echo "$down $up"
E2

# Starts losslink in the background; the caller kills $LINK.
lossy() {
	mkfifo "$DIR/fifo.link"
	"$LOSSLINK" --loss "$LOSS" --delay "$DELAY" --seed "$RUN" "$@" \
	    >"$DIR/fifo.link" 2>>"$DIR/losslink.log" &
	LINK=$!
	read -r _ready <"$DIR/fifo.link"
	rm "$DIR/fifo.link"
}

unlink_it() {
	kill "$LINK"
	wait "$LINK" 2>/dev/null
}

# A guest of the suite.
ours() {
	lossy "$DIR/lossy.sock" "$SOCK"
	PEER_CC=$CC "$TAP" --socket "$DIR/lossy.sock" -- \
	    sh "$DIR/inside.sh" "$PEER" $SERVER "$BYTES" "$EACH" \
	    >"$DIR/result"
	status=$?
	unlink_it
	return $status
}

# A namespace; its process is in $! afterwards.
namespace() {
	mkfifo "$DIR/fifo.ns"
	unshare --net -- sh -c 'echo ready; exec sleep infinity' \
	    >"$DIR/fifo.ns" &
	read -r _ready <"$DIR/fifo.ns"
	rm "$DIR/fifo.ns"
}

# Two kernels, 192.0.2.1 and .2, with nothing but the link between them.
reference() {
	namespace
	one=$!
	namespace
	two=$!
	lossy --tap "/proc/$one/ns/net" "/proc/$two/ns/net"
	for end in "$one 1" "$two 2"; do
		set -- $end
		nsenter -t "$1" -n -- sh -c 'ip link set lo up
			ip addr add "192.0.2.$1/24" dev loss0
			ip link set loss0 mtu "$2" up' - "$2" "$MTU"
	done
	server nsenter -t "$one" -n -- \
	    env PEER_CC="$CC" "$PEER" serve $SERVER 7000
	far=$!
	PEER_CC=$CC nsenter -t "$two" -n -- \
	    sh "$DIR/inside.sh" "$PEER" $SERVER "$BYTES" "${EACH:-20}" \
	    >"$DIR/result"
	status=$?
	kill "$far" "$one" "$two"
	wait "$far" "$one" "$two" 2>/dev/null
	unlink_it
	return $status
}

# The medians of each column, with RUNS lines of them in the file.
medians() {
	for column in 1 2; do
		cut -d ' ' -f $column "$1" | sort -n |
		    awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
	done | xargs
}

# The line of the table: MB/s of the suite, of two kernels, and how they are
# to each other.
row() {
	echo "$MTU $LOSS $CC $(medians "$DIR/ours") $(medians "$DIR/kernels")" |
	    awk '{ printf "%6s %5s %-6s %8.1f %8.1f %5.2f %8.1f %8.1f %5.2f\n",
		$1, $2, $3, $4 / 1e6, $6 / 1e6, $4 / ($6 + 1),
		$5 / 1e6, $7 / 1e6, $5 / ($7 + 1) }'
}

# The last line of the table says at least 0.8, both ways.  Toward the guest
# it is our own CUBIC that sends, which is not held against another's BBR.
enough() {
	tail -n 1 "$DIR/table" | awk '{ exit !(($6 >= 0.8 || $3 != "cubic") && $9 >= 0.8) }'
}

compare() {
	: >"$DIR/ours"
	: >"$DIR/kernels"
	RUN=1
	while [ $RUN -le "$RUNS" ]; do
		what="mtu $MTU, loss $LOSS %, $CC, seed $RUN"
		check "$what" ours
		cat "$DIR/result" >>"$DIR/ours"
		check "$what, two kernels" reference
		cat "$DIR/result" >>"$DIR/kernels"
		RUN=$((RUN + 1))
	done
	row >>"$DIR/table"
	tail -n 1 "$DIR/table"
	if [ "$LOSS:$DELAY" = 1:1000 ] && [ "$RUNS" -ge 3 ]; then
		check "$MTU, $CC: 80 % of two kernels at least" enough
	fi
}

size() {
	if [ -n "$EACH" ]; then
		echo "$EACH seconds"
	else
		echo "$BYTES bytes, of the two kernels 20 seconds"
	fi
}

# Everything a reader has to know; nothing of it is written by hand.
head_of_table() {
	cat <<-E
	TCP over a link that loses frames, with $DELAY usec each way: MB/s of a guest of
	the suite and of two kernels over the same link, one after the other; the
	median of $RUNS.  Toward the guest the suite's own CUBIC sends, whatever control
	the ends have: the bbr rows hold it against a BBR, which does not slow down
	for losses.

	    $SET tests/integ/loss.sh BUILD $MODE${ONLY:+ $ONLY}

	Each transfer: $(size).
	Machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r),
	load $(cut -d ' ' -f 1-3 /proc/loadavg) when it began.  Suite $(git -C "$HERE" describe --always --dirty 2>/dev/null || echo unknown).

	                        to guest                from guest
	   mtu  loss cc         suite  kernels       suite  kernels
	E
}

ALL=$BYTES
lab
[ "$MODE" = short ] || head_of_table >"$DIR/head"
for MTU in $MTUS; do
	suite --mtu "$MTU"
	guest -- true # losslink does not wait for the suite
	for what in $(for c in $CCS; do printf "$c:%s\n" $LOSSES; done); do
		CC=${what%:*} LOSS=${what#*:} RUN=1
		if [ "$MODE" != short ]; then
			compare
			continue
		fi
		# Small segments, 5 %: a megabyte a second of anybody's TCP.
		BYTES=$ALL
		[ "$MTU:$LOSS" != 1500:5 ] || BYTES=$((ALL / 5))
		check "mtu $MTU, loss $LOSS %" ours
	done
done
if [ "$MODE" != short ]; then
	cat "$DIR/head" "$DIR/table" | tee "$BUILD/loss${ONLY:+-$ONLY}.txt"
fi
done_testing
