# What the integration scripts share.  Each is called with the build folder as
# its argument and runs again inside namespaces of its own: network, mounts and
# processes, all of which the kernel removes with it, however it ends.
#
#	lab			the addresses and servers outside the guest
#	suite [ARGS...]		starts the suite; $SOCK is where guests attach
#	guest [-OPTS] -- CMD	runs CMD in a real kernel's network behind it
#	told_guest [-OPTS]	one that stays, and does what it is told:
#	tell CMD...		... its shell runs this; the status is CMD's
#	told_leave		... it ends
#	told_as NAME [-OPTS]	one of several such
#	tell_as NAME CMD...	... and that one is told this
#	line_of FIFO		a line that somebody else writes to it
#	status ARGS...		vpnkit-status of the suite
#	says JQ ARGS...		... whose JSON makes this jq expression true
#	comes JQ ARGS...	... or will
#	eventually CMD...	what has no event is looked at until it is so
#	fds_settled		the descriptors of each of its processes
#	fds_back WAS		... are no more than that
#	exits STATUS CMD...	it ends with that status
#	check NAME CMD...	one result; what failed is said, the rest goes on
#	done_testing		exits with the verdict
#
# In the lab 192.0.2.1 is a server's address, 198.51.100.0/24 a black hole:
# packets to it leave and nothing ever comes back.

set -u

BUILD=$1
NAME=$(basename "$0" .sh)
HERE=$(cd "$(dirname "$0")" && pwd)
VPNKIT=$BUILD/vpnkit/vpnkit
TAP=$BUILD/tools/vpnkit-tap
PEER=$BUILD/tests/integ/peer
STATUS=$BUILD/tools/vpnkit-status
SERVER=192.0.2.1
GATEWAY=192.168.65.1
HOSTIP=192.168.65.2
GUEST=192.168.65.3
SUITE=
FAILED=0

skip() {
	echo "SKIP $NAME: $*"
	exit 77
}

need() {
	for cmd; do
		command -v "$cmd" >/dev/null 2>&1 || skip "$cmd is not installed"
	done
}

[ "$(id -u)" = 0 ] || skip "needs root for namespaces and a TAP"
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
if [ -z "${LAB_INSIDE:-}" ]; then
	LAB_INSIDE=1 exec unshare --net --mount --pid --fork --kill-child \
	    --mount-proc --propagation private -- "$0" "$@"
fi
unset LAB_INSIDE

DIR=$(mktemp -d "${TMPDIR:-/tmp}/vpnkit-$NAME.XXXXXX")
chmod 755 "$DIR"
mount -t tmpfs none "$DIR"
chmod 755 "$DIR"
SOCK=$DIR/eth.sock
LOG=$DIR/log

finish() {
	[ -z "$SUITE" ] || kill "$SUITE" 2>/dev/null
	[ "$FAILED" = 0 ] || tail -n ${LOGLINES:-40} "$LOG" 2>/dev/null
	cd /
	umount -l "$DIR"
	rmdir "$DIR"
}
trap finish EXIT
trap 'exit 129' HUP INT TERM

# Runs a server in the background and waits until it says "ready".
server() {
	mkfifo "$DIR/fifo.$$"
	"$@" >"$DIR/fifo.$$" 2>>"$DIR/servers.log" &
	exec 9<"$DIR/fifo.$$"
	rm "$DIR/fifo.$$"
	read -r _ready <&9
}

lab() {
	ip link set lo up
	ip link add ext0 type veth peer name ext1
	ip addr add $SERVER/24 dev ext0
	ip link set ext0 up
	ip link set ext1 up
	ip neigh add 192.0.2.253 lladdr 02:00:00:00:00:fd dev ext0 nud permanent
	ip route add 198.51.100.0/24 via 192.0.2.253
	printf 'nameserver %s\n' "${RESOLVER:-$SERVER}" >"$DIR/resolv.conf"
	mount --bind "$DIR/resolv.conf" /etc/resolv.conf
	server "$PEER" serve $SERVER 7000
	server "$PEER" serve 127.0.0.1 7001
	server "$PEER" udpserve $SERVER 7000
	server "$PEER" udpserve 127.0.0.1 7001
}

# A resolver for the lab, with a few names of its own.
lab_dns() {
	need dnsmasq
	dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
	    --no-hosts --port=53 --listen-address=$SERVER --bind-interfaces \
	    --address=/one.example/198.51.100.1 --user=root --pid-file= \
	    --txt-record=big.example,"$(printf 'x%.0s' $(seq 240))" \
	    --txt-record=big.example,"$(printf 'y%.0s' $(seq 240))" \
	    --txt-record=big.example,"$(printf 'z%.0s' $(seq 240))" \
	    --log-facility="$DIR/dnsmasq.log" &
	until dig +short +tries=1 +timeout=1 @$SERVER one.example |
	    grep -q 198.51.100.1; do
		:
	done
}

suite() {
	[ -z "$SUITE" ] || suite_stop
	${WRAP:-} "$VPNKIT" --ethernet "$SOCK" "$@" 2>>"$LOG" &
	SUITE=$!
}

suite_stop() {
	kill "$SUITE"
	wait "$SUITE"
	SUITE=
}

# The pids of all processes with this name below the suite.
pids_of() {
	pgrep -P "$SUITE" -x "$1"
}

members() {
	echo "$SUITE"
	pgrep -P "$SUITE"
}

# A line for each of its processes: the name and how many descriptors it has.
fds() {
	for pid in $(members); do
		echo "$(cat "/proc/$pid/comm") $(ls "/proc/$pid/fd" | wc -l)"
	done | sort
}

# The same when all processes are up and have what they are given then.
fds_settled() {
	eventually status show >/dev/null 2>&1
	settled=
	until [ "$(fds)" = "$settled" ]; do
		settled=$(fds)
		sleep 0.5
	done
	echo "$settled"
}

# fds_back WAS: nobody has more of them than then.  Fewer there may be: what was
# closed just before that look was still closing.
fds_back() {
	fds >"$DIR/fds"
	echo "$1" | awk 'NR == FNR { had[$1] += $2; next }
	    { has[$1] += $2 }
	    END { for (p in has) if (has[p] > had[p]) { print p, has[p]; bad = 1 }
		exit bad }' - "$DIR/fds"
}

guest() {
	"$TAP" --socket "$SOCK" "$@"
}

# Its 4 says that something is wrong, which may be what is looked for.
status() {
	"$STATUS" -s "$SOCK" "$@"
}

says() {
	want=$1
	shift
	status --json "$@" >"$DIR/json" || [ $? = 4 ] || return 1
	jq -e "$want" "$DIR/json" >/dev/null || {
		jq -c . "$DIR/json"
		return 1
	}
}

# Whatever is waited for here must come, but who has to say it may have died.
WITHIN=200

line_of() {
	timeout $WITHIN sh -c 'read -r line <"$1" && echo "$line"' - "$1"
}

# Both ends of a fifo are opened for each line, so neither keeps it.
told_guest() {
	mkfifo "$DIR/ask" "$DIR/answer"
	guest "$@" -- sh -c '
		while read -r line <"$1/ask"; do
			[ "$line" != leave ] || break
			sh -c "$line" >"$1/guest.out" 2>&1 </dev/null
			echo $? >"$1/answer"
		done
		echo 0 >"$1/answer"' - "$DIR" &
	GUESTPID=$!
	tell true
}

tell() {
	answer=$(timeout $WITHIN sh -c 'echo "$2" >"$1/ask"
	    read -r answer <"$1/answer" && echo "$answer"' - "$DIR" "$*")
	[ "$answer" != 0 ] || return 0
	echo "the guest says ${answer:-nothing}"
	cat "$DIR/guest.out"
	return 1
}

told_leave() {
	tell leave
	wait "$GUESTPID"
	left=$?
	rm "$DIR/ask" "$DIR/answer"
	return $left
}

# Of several guests, each has a folder of its own.
told_as() {
	mkdir "$DIR/$1"
	(DIR=$DIR/$1 && shift && told_guest "$@")
}

tell_as() {
	(DIR=$DIR/$1 && shift && tell "$@")
}

# A condition that comes about without an event: looked at until it holds, for
# two minutes at least: a busy machine is no reason to fail.
eventually() {
	tries=2400
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.05
	done
}

# The same of vpnkit-status: its tables follow what happens in a tenth of a
# second.
comes() {
	eventually says "$@" >/dev/null 2>&1 || says "$@"
}

check() {
	what=$1
	shift
	if "$@" >"$DIR/out" 2>&1; then
		echo "ok   $what"
	else
		echo "FAIL $what (status $?): $*"
		sed 's/^/     /' "$DIR/out" | tail -n 20
		FAILED=1
	fi
}

check_not() {
	what=$1
	shift
	if "$@" >"$DIR/out" 2>&1; then
		echo "FAIL $what: should not have succeeded: $*"
		FAILED=1
	else
		echo "ok   $what"
	fi
}

exits() {
	want=$1
	shift
	"$@" >"$DIR/out.exits" 2>&1
	st=$?
	[ $st = "$want" ] || { echo "status $st"; cat "$DIR/out.exits"; return 1; }
}

done_testing() {
	exit $FAILED
}
