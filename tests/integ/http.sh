#!/bin/sh
# HTTP and HTTPS of a guest, through real proxies and past them; the settings
# changed under it.  http.sh BUILD short: a little of each kind.
. "$(dirname "$0")/lib.sh"
. "$HERE/http_lab.sh"

need wget python3
lab
http_lab
CONF=$DIR/http.json

inside() {
	echo "# $1"
	guest --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa -- \
	    sh "$HERE/http_inside.sh" "$DIR" "$1" || FAILED=1
}

# New settings, by a rename; what was logged about them is awaited.
settings() {
	seen=$(grep -c "$2" "$LOG")
	printf '%s\n' "$1" >"$CONF.new"
	mv "$CONF.new" "$CONF"
	logged "$2" "$seen"
}

# Waits until a line is in the log once more than before.
logged() {
	until [ "$(grep -c "$1" "$LOG")" -gt "$2" ]; do
		kill -0 "$SUITE" || exit 1
		sleep 0.01
	done
}

# A counter's value, as SIGUSR1 has it logged.
counter() {
	seen=$(grep -c "counters proxyd" "$LOG")
	kill -USR1 "$SUITE"
	logged "counters proxyd" "$seen"
	grep "counters proxyd" "$LOG" | tail -n 1 |
	    sed -n "s/.* $1=\([0-9]*\).*/\1/p"
}

: >"$LOG"
echo '{"http": "127.0.0.1:3128", "https": "http://localhost:3128/",
    "exclude": "direct.example, 198.51.100.0/24, six.test, 2001:db8::/32"}' \
    >"$CONF"
suite --http "$CONF"
if [ "${2:-}" = short ]; then
	inside short
	check "proxyd was never restarted" \
	    [ "$(grep -c 'proxyd is ready' "$LOG")" = 1 ]
	done_testing
fi
inside squid
check "malformed requests are counted" [ "$(counter refused-request)" -ge 4 ]
check "upstreams are used again" [ "$(counter upstream-reused)" -ge 10 ]

settings '{"http": ' "line [0-9]*, column [0-9]*: not JSON; the settings stay"
settings '{"http": 7}' "http: not a string; the settings stay"
settings '{"http": "http://us%65r:secret@127.0.0.1:8888",
    "https": "http://user:secret@127.0.0.1:8888",
    "exclude": "direct.example"}' "HTTP proxy: new settings"
inside auth
settings '{"http": "127.0.0.1:3128", "https": "127.0.0.1:3128",
    "allow_enabled": true, "allow": ["origin.example", "tls.example"],
    "allow_error_msg": "No %s here."}' "HTTP proxy: new settings"
inside allow
settings '{}' "HTTP proxy: new settings"
inside none
rm "$CONF"
logged "no settings any more" 0
echo '{"http": "127.0.0.1:3128"}' >"$CONF"
logged "HTTP proxy: new settings" 3
check "no password in the log" sh -c "! grep -e secret -e dXNlcjp '$LOG'"
nothing_left() {
	[ "$(counter connections)" = "" ]
}
check "nothing is left" eventually nothing_left
check "proxyd was never restarted" \
    [ "$(grep -c 'proxyd is ready' "$LOG")" = 1 ]
suite_stop

http_proxy=http://user:secret@127.0.0.1:8888 \
    https_proxy=http://user:secret@127.0.0.1:8888 no_proxy=direct.example \
    suite --http-from-environment --http-api-path "$DIR/api"
inside auth

# Neither tables nor JSON of any command.
status_tells() {
	for words in show flows "counters --all" "explain drops" ports metrics; do
		for json in "" --json; do
			# shellcheck disable=SC2086
			"$BUILD/tools/vpnkit-status" -s "$SOCK" $json $words
		done
	done >"$DIR/status" 2>&1
	grep -q proxyd "$DIR/status" || { echo "it says nothing"; return 0; }
	grep -e secret -e dXNlcjp "$DIR/status"
}
check_not "no password in vpnkit-status" status_tells

# What the API sets is shown by it, used at once, and not forgotten by SIGHUP.
api() {
	curl -sS --max-time 60 --noproxy '*' --unix-socket "$DIR/api" \
	    -w '%{http_code} %header{connection}' "$@"
}

answers_api() {
	want=$1
	shift
	got=$(api "$@" http://unix/http_proxy.json)
	[ "$got" = "$want" ] || { echo "got '$got'"; return 1; }
}

ALL='{"http":"127.0.0.1:3128","transparent_http_ports":[80],"transparent_https_ports":[443],"https":null,"exclude":"","allow_enabled":false,"allow":[],"allow_error_msg":"Connections to %s are forbidden by policy. Please contact your IT administrator."}'
check "the API's socket is its owner's" [ "$(stat -c %a "$DIR/api")" = 600 ]
check "wrong settings are refused" answers_api \
    "Failed to parse .json: http: not a string400 closed" -d '{"http": 7}'
check "no JSON" answers_api \
    "Failed to parse .json: line 1, column 1: not JSON400 closed" -d x
inside auth
check "POST" answers_api "200 closed" -d '{"http": "127.0.0.1:3128"}'
check "GET" answers_api "${ALL}200 closed"
seen=$(grep -c "HTTP proxy:" "$LOG")
inside api
kill -HUP "$SUITE"
check "POST in chunks" answers_api "200 closed" \
    -H 'Transfer-Encoding: chunked' -d '{"http": "127.0.0.1:3128"}'
check "nothing changed since" [ "$(grep -c "HTTP proxy:" "$LOG")" = "$seen" ]
check "no such path" [ "$(api http://unix/other)" = \
    "Try {GET,POST} /http_proxy.json404 closed" ]
check "an empty object" answers_api "200 closed" -d '{}'
inside none
check "no password in the log" sh -c "! grep -e secret -e dXNlcjp '$LOG'"
suite_stop

# Beside a file: what is set holds until that says something else.  The
# supervisor reads resolv.conf before, which dnsd tells.
reload() {
	seen=$(grep -c "names of our own" "$LOG")
	kill -HUP "$SUITE"
	logged "names of our own" "$seen"
}

shows() {
	got=$(curl -sS --max-time 60 --noproxy '*' --unix-socket "$DIR/api" \
	    http://unix/http_proxy.json | jq -r .exclude)
	[ "$got" = "$1" ] || { echo "got '$got'"; return 1; }
}

echo '{"exclude": "file.example"}' >"$CONF"
suite --http "$CONF" --http-api-path "$DIR/api"
eventually status show >/dev/null 2>&1
check "beside a file: its settings" shows file.example
check "others are set" answers_api "200 closed" -d '{"exclude": "api.example"}'
reload
check "they are not forgotten by SIGHUP" shows api.example
settings '{"exclude": ' "not JSON; the settings stay"
settings '{"exclude": "new.example"}' "HTTP proxy: new settings"
check "but the file goes before when it changes" shows new.example
check "others are set again" answers_api "200 closed" \
    -d '{"exclude": "api.example"}'
rm "$CONF"
reload
check "without the file they stay" shows api.example
settings '{"exclude": "new.example"}' "HTTP proxy: new settings"
check "one that is made anew goes before" shows new.example
suite_stop
suite --http-api-path "$DIR/api"
eventually [ -S "$DIR/api" ]
check "nothing is set" answers_api "404 closed"
done_testing
