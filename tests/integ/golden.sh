#!/bin/sh
# All that vpnkit-status prints beside a suite with real traffic: each
# subcommand, for people and as JSON, against a file of golden/.  What differs
# from run to run is a word there; what is left has to be equal, byte for byte.
#
#	golden.sh BUILD [write]		write the files anew
. "$(dirname "$0")/lib.sh"

need ip jq script dig
GOLDEN=$HERE/golden
WRITE=${2:-}

# A table: times, rates, ports of the guest's choice, and how wide columns are.
plain() {
	sed -E 's/([^0-9.])[0-9]+(\.[0-9])?ms/\1TIME/g
	    s/\b[0-9]+[smhd]([0-9]{2}[smh])?\b/TIME/g
	    s/[0-9.]+ [kMGT]?bit\/s/RATE/g
	    s/192\.168\.65\.3:[0-9]{5}/GUEST:PORT/g
	    s/^( *1  icmp +[0-9.]+):[0-9]+/\1:ID/
	    s/ +/ /g; s/^ //'
}

# The same of processes: pids, memory, the layers that this kernel has.
processes() {
	plain | sed -E 's/^vpnkit [0-9.]+[^ ]*$/vpnkit VERSION/
	    s/^([a-z0-9-]+) [0-9]+ /\1 PID /
	    s/[0-9.]+ [kMGT]?B/SIZE/g
	    /^Sandbox of/d; s/^(user|net|mount|no|pid|seccomp|undumpable)-.*/LAYERS/' |
	    uniq
}

json() {
	jq -S 'walk(if type == "object" then with_entries(
	    if .key | test("^(pid|uptime|memory|ago|age|took|last-answer|count|" +
		"latency.*|bits-per-.*|bytes-(from|to)-guest)$") then
		.value |= if type == "number" then "NUMBER" else . end
	    elif .key | test("^rtt-") then .value = "NUMBER or null"
	    elif .key == "sandbox" then .value = "LAYERS"
	    elif .key == "version" then .value = "VERSION"
	    elif .key == "guest" then
		.value |= sub("^192.168.65.3:[0-9]{2,5}$"; "GUEST:PORT")
	    else . end) else . end) |
	    if .flows then .flows |= sort_by(.proto, .remote) else . end'
}

# Those that have moved as many bytes are in no order.
rows() {
	plain | sort
}

# How many were dropped, of what and why.
drops() {
	plain | sed -E 's/^(netstackd-1) [0-9]+ /\1 NUMBER /'
}

packets() {
	sed -E 's/^[0-9]+ /NUMBER /'
}

# Values of metrics and counters.
numbers() {
	sed -E 's/ +[0-9.]+$/ NUMBER/; s/version="[^"]*"/version="VERSION"/'
}

# golden NAME FILTER COMMAND...: what the command prints, filtered.
golden() {
	file=$GOLDEN/$1 filter=$2
	shift 2
	"$@" >"$DIR/printed" 2>&1
	$filter <"$DIR/printed" >"$DIR/got"
	[ -z "$WRITE" ] || cp "$DIR/got" "$file"
	check "${file##*/}" diff -u "$file" "$DIR/got"
}

both() {
	both=$1 filter=$2
	shift 2
	golden "$both.txt" "$filter" status "$@"
	golden "$both.json" json status --json "$@"
}

# What is refused, with its status and in which words.
refused() {
	while read -r line; do
		eval "set -- $line"
		status "$@" >"$DIR/refusal" 2>&1 </dev/null
		echo "$? $line: $(sed 's/^[^ ]*vpnkit-status: //' "$DIR/refusal")"
	done <"$GOLDEN/refused"
}

# Names first: on a slow machine a server may be asked twice, which is shown.
names() {
	suite --diagnostics "$DIR/diag" --publish 127.0.0.1:8080:$GUEST:80
	told_guest --relay --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa
	tell "dig +short +tries=1 +time=60 one.example"
	tell "dig +short +tries=1 +time=60 nothing.example; true"
	says '.dnsd["retries"] // 0 == 0' counters dnsd && return
	told_leave
	suite_stop
	return 1
}

lab
lab_dns
mkfifo "$DIR/hold"
check "names" eventually names

# Then a refusal, an end, two connections that stay, and last what stays for a
# minute only.
tell "$PEER udp $SERVER 7000 1000 3"
tell "$PEER refused $SERVER 9"
tell "$PEER down $SERVER 7000 1000003"
tell "$PEER unreach 198.51.100.1 80 600000 & :"
tell "$PEER hold $SERVER 7000 $DIR/hold >$DIR/up & echo"
check "a connection" eventually grep -q up "$DIR/up"
tell "ping -q -c 3 -i 0.01 -s 100 $SERVER"
held() {
	status --json flows >"$DIR/flows" &&
	    jq -e '[.flows[] | select(.proto == "icmp") |
		.["bytes-sent"]] == [324]' "$DIR/flows" &&
	    jq -e '[.flows[] | select(.proto == "tcp") | .state] | sort ==
		["ESTABLISHED", "PENDING"]' "$DIR/flows" &&
	    jq -e '.flows[] | select(.state == "ESTABLISHED") |
		.["bytes-sent"] == 8 and .["bytes-received"] == 1' \
		"$DIR/flows" &&
	    jq -e '.flows[] | select(.proto == "dns") |
		.["bytes-sent"] == 108' "$DIR/flows"
}
check "the flows are there" eventually held
both flows rows flows

# top: its last picture.
mkfifo "$DIR/keys"
TERM=xterm script -qec "stty cols 200 rows 40; $STATUS -s $SOCK top -d 1" \
    /dev/null <"$DIR/keys" >"$DIR/top.out" 2>&1 &
TOP=$!
exec 5>"$DIR/keys"
printf b >&5
check "top draws" eventually grep -q "by bytes" "$DIR/top.out"
printf q >&5
wait $TOP
exec 5>&-
picture() {
	tr -d '\r' <"$DIR/top.out" | awk -v RS='\033\\[H' '/by bytes/ { p = $0 }
	    END { printf "%s", p }' | sed -E 's/\x1b\[\??[0-9]*[A-Za-z]//g'
}
golden top.txt rows picture

both show processes show
both dns plain dns
both ports plain ports
both counters numbers counters portd
both explain-drops drops explain drops
both explain-flow plain explain $SERVER:9
both explain-name plain explain one.example
golden metrics.txt numbers sh -c "'$STATUS' -s '$SOCK' metrics |
    grep -E '^(#.*)?vpnkit_(build|process)_|portd_tcp_opened|^# [^TUH]'"
golden help.txt cat status --help
golden capture.txt packets sh -c "
	'$STATUS' -s '$SOCK' capture --last -w '$DIR/c'"
golden refused.txt cat refused

# Each counter is in the manual page of its daemon, by itself or by the word it
# begins with; front is a role of portd.
in_manual() {
	while read -r daemon name; do
		page="$HERE/../../docs/$daemon.8"
		[ "$daemon" != front ] || page="$HERE/../../docs/portd.8"
		grep -qE "^\.(It|Cm) (.* )?($name|${name%%-*}-)( |$)" "$page" ||
		    { echo "$name is not in $page"; return 1; }
	done <"$DIR/there"
}

# What counters mean is said of counters that are there, and of each whose name
# sounds like a loss.
sed -nE 's/^\t\{ "([a-z]+)", "([a-z0-9-]+)", .*/\1 \2/p' \
    "$HERE/../../common/view/meaning.c" | sort >"$DIR/said"
status --json counters --all | jq -r 'to_entries[] |
    (.key | sub("-[0-9]+$"; "")) + " " + (.value | keys[])' | sort >"$DIR/there"
check "there are counters" [ -s "$DIR/there" ]
check "all counters are in the manual" in_manual
check "all counters with a meaning are there" sh -c "
	comm -23 '$DIR/said' '$DIR/there' | grep . && exit 1 || exit 0"
check "all losses have a meaning" sh -c "
	grep -E 'refused|dropped|limit|bad-|lost|failed|full|evicted|too-big|forged' \
	    '$DIR/there' | grep -v 'idle-upstream-limit' |
	    comm -23 - '$DIR/said' | grep . && exit 1 || exit 0"

# The tour in README: what it shows does something.
sed -nE 's/^vpnkit-status -s [^ ]+( [^#|]*|$).*/\1/p' "$HERE/../../README.md" |
    grep -vE 'top|--port' >"$DIR/tour"
check "there is a tour" [ "$(wc -l <"$DIR/tour")" -ge 5 ]
while read -r line; do
	# shellcheck disable=SC2086
	check "README: vpnkit-status $line" status $line
done <"$DIR/tour"

told_leave
suite_stop
done_testing
