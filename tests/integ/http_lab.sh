# The servers of the HTTP tests, all of Debian's packages and all started here
# with settings of their own: http_lab starts them and waits until they answer.
#
#	nginx on $SERVER:80, 8081	the origin; files in $DIR/www
#	nginx on [$SERVER6]:80, 8084	the same by IPv6, 8084 only there
#	nginx on 127.0.0.1:8082		a server of the host's own
#	openssl s_server on :443	TLS for tls.example
#	squid on 127.0.0.1:3128		a proxy on the host's loopback
#	tinyproxy on 127.0.0.1:8888	one that wants user and password
#	dnsmasq				*.example is $SERVER, six.test only
#					$SERVER6, both.test both, silent.test
#					that and a black hole

SERVER6=2001:db8::80
SQUIDLOG=$DIR/squid/access.log

http_lab() {
	need curl nginx squid tinyproxy openssl dnsmasq dig
	RESOLVER=$SERVER
	ip addr add $SERVER6/64 dev lo nodad
	mkdir "$DIR/www" "$DIR/nginx" "$DIR/squid"
	chmod 777 "$DIR/nginx" "$DIR/squid"
	echo "hello from the origin" >"$DIR/www/hello"
	head -c 20000003 /dev/urandom >"$DIR/www/big"
	: >"$DIR/www/empty"
	mkdir "$DIR/www/repo"
	printf 'Package: vpnkit-test\nVersion: 1\nArchitecture: all\n' \
	    | gzip >"$DIR/www/repo/Packages.gz"
	cat >"$DIR/nginx/conf" <<N
daemon off;
worker_processes 1;
pid $DIR/nginx/pid;
error_log $DIR/nginx/error.log;
events { worker_connections 4096; }
http {
	log_format raw '\$request | \$http_host | \$http_user_agent | '
	    '\$http_proxy_authorization | \$http_authorization | \$http_x_test';
	access_log $DIR/nginx/access.log raw;
	client_body_temp_path $DIR/nginx/body;
	proxy_temp_path $DIR/nginx/proxy;
	fastcgi_temp_path $DIR/nginx/fastcgi;
	uwsgi_temp_path $DIR/nginx/uwsgi;
	scgi_temp_path $DIR/nginx/scgi;
	client_max_body_size 100m;
	keepalive_requests 1000000;
	sendfile on;
	server {
		listen $SERVER:80 backlog=4096;
		listen $SERVER:8081;
		listen [$SERVER6]:80;
		listen [$SERVER6]:8084;
		listen 127.0.0.1:8082;
		root $DIR/www;
		# Answers when it has read all: who answers before and closes
		# takes the answer along, now and then, and squid does.
		location /echo {
			proxy_pass http://127.0.0.1:8082/said;
			proxy_pass_request_body off;
			proxy_set_header Content-Length "";
			proxy_set_header X-Length \$content_length;
		}
		location /said { return 200 "\$request_method \$http_x_length\n"; }
		location /old { return 301 /hello; }
		location /gzip { gzip on; gzip_types *; gzip_min_length 1; alias $DIR/www; }
	}
}
N
	nginx -c "$DIR/nginx/conf" 2>>"$DIR/servers.log" &
	cat >"$DIR/squid/conf" <<S
http_port 127.0.0.1:3128
acl denied dstdomain denied.example
http_access deny denied
http_access allow all
http_upgrade_request_protocols websocket allow all
cache deny all
pid_filename none
cache_log $DIR/squid/cache.log
logformat brief %rm %ru %>Hs
access_log stdio:$SQUIDLOG brief
coredump_dir $DIR/squid
visible_hostname lab.example
dns_nameservers $SERVER
shutdown_lifetime 0 seconds
pinger_enable off
max_filedescriptors 8192
via off
S
	squid -N -f "$DIR/squid/conf" >>"$DIR/servers.log" 2>&1 &
	cat >"$DIR/tinyproxy.conf" <<T
Port 8888
Listen 127.0.0.1
Timeout 600
MaxClients 100
BasicAuth user secret
LogFile "$DIR/tinyproxy.log"
LogLevel Connect
T
	touch "$DIR/tinyproxy.log"
	tinyproxy -d -c "$DIR/tinyproxy.conf" >>"$DIR/servers.log" 2>&1 &
	server python3 "$HERE/http_raw.py" wsd $SERVER 8090
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tls.example \
	    -addext subjectAltName=DNS:tls.example,IP:$SERVER \
	    -keyout "$DIR/key" -out "$DIR/cert" 2>/dev/null
	(cd "$DIR/www" && exec openssl s_server -accept $SERVER:443 -quiet \
	    -cert "$DIR/cert" -key "$DIR/key" -WWW) 2>>"$DIR/servers.log" &
	dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
	    --no-hosts --port=53 --listen-address=$SERVER --bind-interfaces \
	    --address=/example/$SERVER --address=/loop.test/127.0.0.1 \
	    --host-record=six.test,$SERVER6 --host-record=loop6.test,::1 --local=/test/ \
	    --host-record=both.test,$SERVER,$SERVER6 \
	    --host-record=silent.test,198.51.100.9,$SERVER6 \
	    --user=root --pid-file= \
	    --log-facility="$DIR/dnsmasq.log" &
	answers "dig +short +tries=1 +timeout=1 @$SERVER origin.example |
	    grep -q $SERVER"
	for at in $SERVER:80 127.0.0.1:3128 127.0.0.1:8888; do
		answers "curl -s -o $DIR/out http://$at/hello"
	done
	answers "curl -sk -o $DIR/out https://$SERVER/hello"
}

# Waits until the command succeeds: a server that never comes up is an error.
answers() {
	n=0
	until sh -c "$1" >/dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 2000 ] || {
			echo "never answers: $1"
			cat "$DIR/servers.log"
			exit 1
		}
	done
}
