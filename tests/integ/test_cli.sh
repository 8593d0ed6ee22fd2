#!/bin/sh
# The real command line: what is refused and how it is said, what is only
# warned of, and that what starts also stops.  Needs no root.  Called with the
# build folder as its argument.

set -u

VPNKIT=$1/vpnkit/vpnkit
FAILED=0
PID=

DIR=$(mktemp -d "${TMPDIR:-/tmp}/vpnkit-cli.XXXXXX") || exit 1
SOCK=$DIR/eth.sock
LOG=$DIR/log
finish() {
	[ -z "$PID" ] || kill "$PID"
	[ "$FAILED" = 0 ] || cat "$LOG"
	rm -r "$DIR"
}
trap finish EXIT
trap 'exit 129' HUP INT TERM
export VPNKIT_RESOLV_CONF="$DIR/resolv.conf"
unset VPNKIT_LIBEXECDIR VPNKIT_DEBUG
echo 'nameserver 127.0.0.1' >"$VPNKIT_RESOLV_CONF"
: >"$LOG"

verdict() {
	if [ "$1" = 0 ]; then
		echo "ok   $2"
	else
		echo "FAIL $2"
		FAILED=1
	fi
}

# Waits for a condition, for two minutes at least.
await() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 6000 ] || return 1
		sleep 0.02
	done
}

# refused TEXT ARGS...: exit status 1 and TEXT in the last line on stderr.
refused() {
	text=$1
	shift
	"$VPNKIT" "$@" >"$DIR/out" 2>"$DIR/err"
	st=$?
	[ "$st" = 1 ] && [ ! -s "$DIR/out" ] &&
	    tail -n 1 "$DIR/err" | grep -qF -e "$text"
	verdict $? "refused ($st): $* [$(cat "$DIR/err")]"
}

# accepted TEXT ARGS...: exit status 0 of --check, TEXT on stderr.
accepted() {
	text=$1
	shift
	"$VPNKIT" --check "$@" >"$DIR/out" 2>"$DIR/err"
	st=$?
	[ "$st" = 0 ] && grep -qF -e "$text" "$DIR/err"
	verdict $? "accepted ($st): $* [$(cat "$DIR/err")]"
}

# clean ARGS...: the same without a word.  /etc/hosts is not the test's.
clean() {
	"$VPNKIT" --check --hosts '' "$@" >"$DIR/out" 2>"$DIR/err"
	st=$?
	[ "$st" = 0 ] && [ ! -s "$DIR/out" ] && [ ! -s "$DIR/err" ]
	verdict $? "clean ($st): $* [$(cat "$DIR/err")]"
}

refused 'Please provide an --ethernet argument'
refused 'Please provide an --ethernet argument' --debug
refused "unknown option '--nonsense'" --ethernet x --nonsense
refused 'ambiguous' --ethernet x --host=1.2.3.4
refused '--mtu is given twice' --ethernet x --mtu 1500 --mtu=1500
refused '--mtu' --ethernet x --mtu 575
refused '--mtu' --ethernet x --mtu 65522
refused '--gateway-ip' --ethernet x --gateway-ip 300.1.1.1
refused '--server-macaddr' --ethernet x --server-macaddr zz
refused '--lowest-ip' --ethernet x --lowest-ip 10.0.0.9 --highest-ip 10.0.0.8
refused '--dhcp-path' --ethernet x --dhcp-path "$DIR/none"
refused '--dhcp-path' --ethernet x --dhcp-path "$DIR"
refused "--log: 'smoke' is not" --ethernet x --log smoke
refused "--log: 'smoke' is not" --check --ethernet x --log smoke
refused "--log: 'journal:' is not" --check --ethernet x --log journal:
refused "--log: 'stderr:/x' is not" --check --ethernet x --log stderr:/x
for o in dns hosts http gateway-forwards forwards; do
	refused "--$o: $DIR: Is a directory" --ethernet "$DIR/none/x" --$o "$DIR"
	refused "--$o: $DIR: Is a directory" --check --ethernet x --$o "$DIR"
done
refused '--config' --config "$DIR/none"
refused 'needs a value' --ethernet
refused 'more than 107 bytes' --ethernet "$(printf '/%0108d' 0)"
refused 'different lengths' --ethernet x --publish 0.0.0.0:1-3:192.168.65.3:1
refused '--tcpv4-forwards' --ethernet x --tcpv4-forwards 1:2

clean --ethernet x
clean --eth x --mtu=9000 --host-ip 0.0.0.0
clean --ethernet fd:3 --domain example.org --max-connections 10
clean --ethernet-qemu x --ethernet-dgram y
clean --ethernet fd:3 --introspection fd:4
accepted '--port-max-idle-time: has no meaning any more' --ethernet fd:3 --port-max-idle-time 5
clean --ethernet fd:3 --vsock-path /x/connect --port fd:4
clean --ethernet x --publish 127.0.0.1:8000-8003:192.168.65.3:80-83 --publish '[::1]:0:192.168.65.3:53/udp'
accepted "$DIR/none: No such file" --ethernet x --http "$DIR/none"
accepted "$DIR/none: No such file or directory; the host's servers are used" \
    --ethernet x --dns "$DIR/none"
clean --ethernet x --log "syslog:$DIR/none"
accepted '--db: has no meaning' --ethernet x --db /x --branch master

echo '{"searchDomains":["a.b"],"domainName":"c.d"}' >"$DIR/dhcp.json"
clean --ethernet x --dhcp "$DIR/dhcp.json"
echo '{"searchDomains":' >"$DIR/bad.json"
refused "$DIR/bad.json" --check --ethernet x --dhcp-path "$DIR/bad.json"
printf 'nameserver 127.0.0.1\ntimeout 2000\n' >"$DIR/dns.conf"
clean --ethernet x --dns "$DIR/dns.conf"
printf 'nameserver 192.0.2.9\nzone corp.example\ntimeout 2s\n' >"$DIR/dns.conf"
refused "$DIR/dns.conf:3: not a number, or too large" --check --ethernet x \
    --dns "$DIR/dns.conf"
echo 'fe80::1%lo0 localhost' >"$DIR/hosts"
accepted "$DIR/hosts:1: not an address, skipped" --ethernet x \
    --hosts "$DIR/hosts"
truncate -s 5M "$DIR/hosts"
refused "$DIR/hosts: File too large" --check --ethernet x --hosts "$DIR/hosts"

echo "{ \"ethernet\": \"$SOCK\", \"mtu\": 1400, \"debug\": true,
    \"host-names\": [\"a\", \"b\"], \"domain\": \"from.file\" }" >"$DIR/config"
clean --config "$DIR/config"
clean --config "$DIR/config" --mtu 1450
echo '{ "ethernet": "x", "nonsense": 1 }' >"$DIR/bad.config"
refused "unknown option 'nonsense'" --config "$DIR/bad.config"
echo '{ "ethernet": "x", "mtu": 7 }' >"$DIR/bad.config"
refused '--mtu' --config "$DIR/bad.config"
echo '[]' >"$DIR/bad.config"
refused 'not a JSON object' --config "$DIR/bad.config"

[ "$("$VPNKIT" --help | grep -c '^  --')" -gt 40 ]
verdict $? "--help lists the options"
"$VPNKIT" --version | grep -qE '^[0-9]+\.[0-9]+\.[0-9]+$'
verdict $? "--version"
ln -s "$VPNKIT" "$DIR/com.docker.slirp"
"$DIR/com.docker.slirp" 2>&1 | grep -q '^com.docker.slirp: Please provide'
verdict $? "runs under its old name"

# What cannot be bound ends the program, with a word.
: >"$DIR/file"
refused "$DIR/file: File exists" --ethernet "$DIR/file"
[ -f "$DIR/file" ]
verdict $? "a regular file is left alone"
refused 'no such descriptor' --ethernet fd:999
refused 'not a socket' --ethernet fd:0 </dev/null
refused 'Hyper-V' --ethernet hyperv-listen://vm
refused "$DIR/none/x: No such file" --ethernet "$DIR/none/x"
refused "$DIR/none/x: No such file" --ethernet "$SOCK" \
    --ethernet-qemu "$DIR/none/x"
[ ! -e "$SOCK" ]
verdict $? "a start that fails leaves no socket"
refused "$SOCK: Address already in use" --ethernet-dgram "$SOCK" \
    --ethernet-dgram "$SOCK"

start() {
	"$VPNKIT" "$@" 2>>"$LOG" &
	PID=$!
}

stop() {
	kill "$1" "$PID"
	wait "$PID"
	st=$?
	PID=
}

ready() {
	[ "$(grep -c ' is ready' "$LOG")" -ge 5 ]
}

# Daemons that cannot even start: tried again, more and more slowly.
mkdir "$DIR/fake"
for d in ethd netstackd dnsd proxyd portd; do
	printf '#!/bin/sh\nexit 3\n' >"$DIR/fake/$d"
	chmod +x "$DIR/fake/$d"
done
export VPNKIT_LIBEXECDIR="$DIR/fake"
start --ethernet "$SOCK"
await grep -q 'ethd: starting it again in 0.4 s' "$LOG"
verdict $? "backs off from a daemon that always dies"
grep -q 'ethd (pid [0-9]*) ended with status 3' "$LOG"
verdict $? "says how it died"
stop -TERM
[ "$st" = 0 ] && [ ! -e "$SOCK" ]
verdict $? "stops while it waits ($st)"
rm "$DIR/fake/dnsd"
refused 'fake/dnsd: No such file' --ethernet "$SOCK"
unset VPNKIT_LIBEXECDIR

# The real ones.
for sig in TERM INT; do
	: >"$LOG"
	start --config "$DIR/config"
	await ready && [ -S "$SOCK" ]
	verdict $? "starts"
	# The shell has its background processes ignore SIGINT; ours do not.
	stop -$sig
	[ "$st" = 0 ] && [ ! -e "$SOCK" ]
	verdict $? "SIG$sig: ends with status 0, without its socket ($st)"
done

: >"$LOG"
start --ethernet "$SOCK"
await ready
kids=$(pgrep -P "$PID")
kill -9 "$PID"
wait "$PID"
PID=
for k in $kids; do
	await sh -c "! kill -0 $k"
	verdict $? "the daemons end with it ($k)"
done
[ -S "$SOCK" ]
verdict $? "what SIGKILL leaves behind"
: >"$LOG"
start --ethernet "$SOCK" --dns "$DIR/dns.conf"
await ready
verdict $? "starts over a stale socket"
grep -qF "$DIR/dns.conf:3: not a number, or too large; the host's servers" "$LOG"
verdict $? "a wrong file of --dns: says which servers are used"
kill -USR1 "$PID"
kill -HUP "$PID"
echo 'nameserver 127.0.0.2' >"$DIR/new"
mv "$DIR/new" "$VPNKIT_RESOLV_CONF"
await grep -q 'resolv.conf: new name servers' "$LOG"
verdict $? "sees a file renamed over the old one"
echo 'nameserver 127.0.0.3' >"$VPNKIT_RESOLV_CONF"
await sh -c "[ \$(grep -c 'resolv.conf: new name servers' $LOG) = 2 ]"
verdict $? "and the next change, too"
echo 'nameserver 127.0.0.4' >"$DIR/dns.conf"
await grep -q 'dns.conf: new name servers' "$LOG"
verdict $? "the file of --dns is right now"
echo 'nameserver x' >"$DIR/dns.conf"
await grep -q 'dns.conf:1: not an address; the servers stay' "$LOG"
verdict $? "wrong again: says that they stay"
stop -TERM
verdict "$st" "stops"

# Directories of files: one goes for a while, one comes later, one is replaced.
: >"$LOG"
mkdir -p "$DIR/run" "$DIR/up/conf"
echo 'nameserver 127.0.0.1' >"$DIR/run/resolv.conf"
ln -s run/resolv.conf "$DIR/link"
echo '192.0.2.1 a' >"$DIR/up/conf/hosts"
export VPNKIT_RESOLV_CONF="$DIR/link"
start --ethernet "$SOCK" --dns "$DIR/later/dns.conf" \
    --hosts "$DIR/up/conf/hosts"
await ready
rm -r "$DIR/run"
await grep -q 'link: No such file' "$LOG"
verdict $? "the directory of resolv.conf goes"
mkdir "$DIR/run"
echo 'nameserver 127.0.0.2' >"$DIR/run/resolv.conf"
await grep -q 'link: new name servers' "$LOG"
verdict $? "and comes back"
mkdir "$DIR/later"
echo 'nameserver 127.0.0.3' >"$DIR/later/dns.conf"
await grep -q 'later/dns.conf: new name servers' "$LOG"
verdict $? "a directory that is made later"
mv "$DIR/up/conf" "$DIR/old"
mkdir "$DIR/up/conf"
echo '192.0.2.1 a b' >"$DIR/up/conf/hosts"
await grep -q '2 of the hosts file' "$LOG"
verdict $? "a directory that is replaced"
: >"$LOG"
mv "$DIR/up" "$DIR/older"
mkdir -p "$DIR/up/conf"
kill -HUP "$PID"
await grep -q '0 of the hosts file' "$LOG"
echo '192.0.2.1 a b c' >"$DIR/up/conf/hosts"
await grep -q '3 of the hosts file' "$LOG"
verdict $? "one further up, with SIGHUP"
stop -TERM
verdict "$st" "stops"
exit $FAILED
