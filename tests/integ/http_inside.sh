# Runs inside the guest's namespaces: http_inside.sh DIR PART.
DIR=$1 PART=$2
HERE=$(cd "$(dirname "$0")" && pwd)
SERVER=192.0.2.1 SERVER6=2001:db8::80 GATEWAY=192.168.65.1 HOSTIP=192.168.65.2
FAILED=0
unset http_proxy https_proxy no_proxy all_proxy

check() {
	what=$1
	shift
	if out=$("$@" 2>&1); then
		echo "ok   $what"
	else
		echo "FAIL $what (status $?): $*: $out" | head -n 12
		FAILED=1
	fi
}

# The output of a command is, or has in it, just this.
is() {
	want=$1
	shift
	got=$("$@")
	[ "$got" = "$want" ] || { echo "got '$got'"; return 1; }
}

has() {
	want=$1
	shift
	got=$("$@" 2>&1)
	case $got in
	*"$want"*) ;;
	*) echo "got '$got'"; return 1 ;;
	esac
}

hasnt() {
	! has "$@" >/dev/null || { echo "has '$1'"; return 1; }
}

get() {
	curl -sS --max-time 120 "$@"
}

same() {
	get "$@" | cmp - "$DIR/www/big"
}

# saw LOG LINES TEXT: it is in one of its last lines.  What a server logs comes
# after its answer; squid's when a tunnel has ended.
saw() {
	n=0
	until tail -n "$2" "$1" | grep -F -q -- "$3"; do
		n=$((n + 1))
		[ $n -lt 1200 ] || { tail -n 3 "$1"; return 1; }
		sleep 0.05
	done
}

squid_saw() {
	saw "$DIR/squid/access.log" 1 "$1"
}

nginx_saw() {
	saw "$DIR/nginx/access.log" 1 "$1"
}

raw() {
	python3 "$HERE/http_raw.py" raw "$@"
}

HELLO="hello from the origin"
REQ='GET /hello HTTP/1.1\r\nHost: origin.example\r\n\r\n'

part_squid() {
	check "GET, transparent" is "$HELLO" get http://origin.example/hello
	check "squid got an absolute URI" \
	    squid_saw "GET http://origin.example/hello"
	check "the server got one Host" nginx_saw "| origin.example |"
	check "20 MB, every byte" same http://origin.example/big
	check "POST of 20 MB, Expect: 100-continue" is "POST 20000003" \
	    get --data-binary "@$DIR/www/big" http://origin.example/echo
	check "POST in chunks" has "POST" get -H 'Transfer-Encoding: chunked' \
	    --data-binary "@$DIR/www/big" http://origin.example/echo
	check "an empty body" is "" get http://origin.example/empty
	check "a path of 8000 bytes" has "404" get \
	    "http://origin.example/$(head -c 8000 /dev/zero | tr '\0' x)"
	check "keep-alive: one connection for three" is "100" \
	    get -o /dev/null -w '%{num_connects}' http://origin.example/hello \
	    -o /dev/null http://origin.example/hello \
	    -o /dev/null http://origin.example/hello
	check "HEAD has no body" has "Content-Length: 22" \
	    get -I http://origin.example/hello
	check "HEAD, then GET on one connection" has "$HELLO" \
	    raw $SERVER 80 'HEAD /hello HTTP/1.1\r\nHost: origin.example\r\n\r\n'"$REQ"
	check "HTTP/1.0" is "$HELLO" get -0 http://origin.example/hello
	check "a redirect" has "301" get -i http://origin.example/old
	check "fields stay as they are" \
	    is "$HELLO" get -A agent -H 'X-Test: Yes' \
	    -H 'Authorization: Bearer abc' http://origin.example/hello
	check "as the server saw" nginx_saw "agent | - | Bearer abc | Yes"
	check "a pipeline, in order" is "HTTP/1.1 200
HTTP/1.1 404
HTTP/1.1 200" sh -c "python3 '$HERE/http_raw.py' raw $SERVER 80 \
	    '${REQ}GET /none HTTP/1.1\r\nHost: origin.example\r\n\r\n${REQ}' |
	    grep -a -o '^HTTP/1.1 [0-9]*'"
	check "a request, a byte at a time" has "$HELLO" \
	    python3 "$HERE/http_raw.py" slow $SERVER 80 "$REQ"
	check "a WebSocket" is "websocket is fine" \
	    python3 "$HERE/http_raw.py" ws $SERVER 80 ws.example:8090
	check "1,000 keep-alive clients at once" is "all answered twice" \
	    sh -c "python3 '$HERE/http_raw.py' keep $SERVER 80 1000 \
	    '$REQ' </dev/null"
	check "wget" is "$HELLO" wget -q -O - http://origin.example/hello
	check "apt" part_apt
	check "HTTPS by name" is "$HELLO" \
	    get --cacert "$DIR/cert" https://tls.example/hello
	check "squid was asked by name" squid_saw "CONNECT tls.example:443"
	check "20 MB over TLS" same --cacert "$DIR/cert" https://tls.example/big
	check "HTTPS by address" is "$HELLO" get -k https://$SERVER/hello
	check "squid was asked by address" squid_saw "CONNECT $SERVER:443"
	check "a refused CONNECT closes" \
	    has "(35)" get -k https://denied.example/hello
	check "explicit GET" is "$HELLO" \
	    get -x $GATEWAY:3128 http://origin.example/hello
	check "explicit GET, the other port" is "$HELLO" \
	    get -x $GATEWAY:3129 http://origin.example/hello
	check "explicit CONNECT" is "$HELLO" get -x $GATEWAY:3129 \
	    --cacert "$DIR/cert" https://tls.example/hello
	check "squid got its CONNECT" squid_saw "CONNECT tls.example:443"
	check "an excluded name goes direct" is "$HELLO" \
	    get http://direct.example/hello
	check "as squid did not see" hasnt "direct.example" \
	    cat "$DIR/squid/access.log"
	check "explicit, excluded" is "$HELLO" \
	    get -x $GATEWAY:3128 http://direct.example/hello
	check "excluded, of IPv6 only" is "$HELLO" \
	    get -x $GATEWAY:3128 http://six.test:8084/hello
	check "an excluded address of IPv6" is "$HELLO" \
	    get -g -x $GATEWAY:3128 "http://[$SERVER6]/hello"
	check "as squid did not see either" hasnt "$SERVER6" \
	    cat "$DIR/squid/access.log"
	check "TLS of an excluded name goes direct" is "$HELLO" \
	    get -k https://direct.example/hello
	check "still not seen" hasnt "direct.example" \
	    cat "$DIR/squid/access.log"
	check "excluded by Host" has "$HELLO" raw $SERVER 80 \
	    'GET /hello HTTP/1.1\r\nHost: direct.example:80\r\n\r\n'
	check "other ports are left alone" is "$HELLO" \
	    get http://origin.example:8081/hello
	check "two lengths: 400" has "HTTP/1.1 400" raw $SERVER 80 \
	    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'
	check "length and chunks: 400" has "HTTP/1.1 400" raw $SERVER 80 \
	    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
	check "a bare LF: 400" has "HTTP/1.1 400" raw $SERVER 80 \
	    'GET / HTTP/1.1\nHost: a\n\n'
	check "a head without end: 431" has "HTTP/1.1 431" raw $SERVER 80 \
	    "GET / HTTP/1.1\r\nX: $(head -c 40000 /dev/zero | tr '\0' x)"
	check "no absolute URI and no Host: 400" \
	    has "400 request must contain an absolute URI" \
	    raw $GATEWAY 3128 'GET / HTTP/1.0\r\n\r\n'
}

# A little of each kind, where the sanitizers look.
part_short() {
	check "GET, transparent" is "$HELLO" get http://origin.example/hello
	check "squid got an absolute URI" \
	    squid_saw "GET http://origin.example/hello"
	check "20 MB, every byte" same http://origin.example/big
	check "POST in chunks" has "POST" get -H 'Transfer-Encoding: chunked' \
	    --data-binary "@$DIR/www/big" http://origin.example/echo
	check "HEAD, then GET on one connection" has "$HELLO" \
	    raw $SERVER 80 'HEAD /hello HTTP/1.1\r\nHost: origin.example\r\n\r\n'"$REQ"
	check "a WebSocket" is "websocket is fine" \
	    python3 "$HERE/http_raw.py" ws $SERVER 80 ws.example:8090
	check "a bare LF: 400" has "HTTP/1.1 400" raw $SERVER 80 \
	    'GET / HTTP/1.1\nHost: a\n\n'
	check "explicit CONNECT" is "$HELLO" get -x $GATEWAY:3129 \
	    --cacert "$DIR/cert" https://tls.example/hello
	check "20 MB over TLS" same --cacert "$DIR/cert" https://tls.example/big
	check "an excluded name goes direct" is "$HELLO" \
	    get http://direct.example/hello
	check "excluded, of IPv6 only" is "$HELLO" \
	    get -x $GATEWAY:3128 http://six.test:8084/hello
}

part_apt() {
	mkdir -p "$DIR/apt/lists/partial" "$DIR/apt/cache/archives/partial" \
	    "$DIR/apt/etc"
	: >"$DIR/apt/status"
	echo "deb [trusted=yes] http://origin.example/repo ./" \
	    >"$DIR/apt/sources"
	apt-get -q -o Dir::Etc="$DIR/apt/etc" \
	    -o Dir::Etc::sourcelist="$DIR/apt/sources" \
	    -o Dir::Etc::sourceparts=/dev/null \
	    -o Dir::State="$DIR/apt" -o Dir::State::status="$DIR/apt/status" \
	    -o Dir::Cache="$DIR/apt/cache" -o APT::Sandbox::User=root \
	    -o Acquire::Languages=none update || return 1
	ls "$DIR"/apt/lists/*Packages*
}

part_auth() {
	check "a proxy that wants a password" is "$HELLO" \
	    get http://origin.example/hello
	check "tinyproxy had it" saw "$DIR/tinyproxy.log" 100 origin.example
	check "its CONNECT, too" is "$HELLO" \
	    get --cacert "$DIR/cert" https://tls.example/hello
	check "the password goes no further" nginx_saw "| - | - | -"
	check "an excluded server does not get it" is "$HELLO" \
	    get http://direct.example/hello
	check "it did not" nginx_saw "direct.example | curl"
	check "nor the guest's own" is "$HELLO" get \
	    -H 'Proxy-Authorization: Basic Zm9vOmJhcg==' \
	    http://direct.example/hello
	check "that is stripped" nginx_saw "| - | - | -"
}

part_none() {
	check "explicit GET without a proxy" is "$HELLO" \
	    get -x $GATEWAY:3128 http://origin.example/hello
	check "explicit CONNECT without a proxy" is "$HELLO" \
	    get -x $GATEWAY:3128 --cacert "$DIR/cert" https://tls.example/hello
	check "a server of IPv6 only" is "$HELLO" \
	    get -x $GATEWAY:3128 http://six.test:8084/hello
	check "by its address" is "$HELLO" \
	    get -g -x $GATEWAY:3128 "http://[$SERVER6]:8084/hello"
	check "CONNECT to it" is "$HELLO" \
	    get -p -x $GATEWAY:3128 http://six.test:8084/hello
	check "by IPv6, where nobody listens by IPv4" is "$HELLO" \
	    get -x $GATEWAY:3128 http://both.test:8084/hello
	check "by IPv6, where nobody answers by IPv4" is "$HELLO" \
	    get -x $GATEWAY:3128 http://silent.test/hello
	check "nobody listens there: 503" \
	    has "unable to connect to $SERVER:9, [$SERVER6]:9. Do you need" \
	    get -i -x $GATEWAY:3128 http://both.test:9/
	check "its answer, byte for byte" has "HTTP/1.1 200 OK

" sh -c "python3 '$HERE/http_raw.py' raw $GATEWAY 3128 \
	    'CONNECT origin.example:80 HTTP/1.1\r\nHost: origin.example:80\r\n\r\n$REQ' | tr -d '\r'"
	check "a name that does not exist: 503" \
	    has "503 Failed to lookup host: no.such.name" \
	    get -i -x $GATEWAY:3128 http://no.such.name/
	check "nobody listens: 503" \
	    has "unable to connect to $SERVER:9. Do you need an HTTP proxy?" \
	    get -i -x $GATEWAY:3128 http://$SERVER:9/
	check "CONNECT where nobody listens: 503" has "HTTP/1.1 503" \
	    raw $GATEWAY 3128 "CONNECT $SERVER:9 HTTP/1.1\r\nHost: $SERVER:9\r\n\r\n"
	check "the host's loopback by host-ip" is "$HELLO" \
	    get -x $GATEWAY:3128 http://$HOSTIP:8082/hello
	check "and by its name" is "$HELLO" \
	    get -x $GATEWAY:3128 http://host.internal:8082/hello
	for to in 127.0.0.1:8082 0.0.0.0:8082 loop.test:8082 $GATEWAY:3128 \
	    192.168.65.77 "[::1]:8082" loop6.test:8082 "[::]:8082" \
	    "[::ffff:127.0.0.1]:8082" "[::127.0.0.1]:8082" "[fe80::1]:8082" \
	    "[64:ff9b::7f00:1]:8082" "[2002:7f00:1::1]:8082"; do
		check "not $to: 403" has "HTTP/1.1 403" \
		    get -g -i -x $GATEWAY:3128 "http://$to/hello"
	done
	check "nothing is intercepted" is "$HELLO" \
	    get http://origin.example/hello
}

part_api() {
	check "what the API set" is "$HELLO" get http://origin.example/hello
	check "squid is asked" squid_saw "GET http://origin.example/hello"
	check "TLS goes direct" is "$HELLO" \
	    get --cacert "$DIR/cert" https://tls.example/hello
}

part_allow() {
	check "an allowed name" is "$HELLO" get http://origin.example/hello
	check "another: 403, with the text" has "403 No other.example here." \
	    get -i http://other.example/hello
	check "CONNECT to another: 403" has "403" get -x $GATEWAY:3128 \
	    -k https://other.example/hello
	check "TLS to another is closed" has "(35)" \
	    get -k https://other.example/hello
	check "TLS of an allowed name" is "$HELLO" \
	    get --cacert "$DIR/cert" https://tls.example/hello
}

part_"$PART"
exit $FAILED
