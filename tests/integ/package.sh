#!/bin/sh
# The Debian package in a system of its own, booted by systemd-nspawn: socket
# activation, the sandbox under the unit's rules, the journal, kill, watchdog,
# upgrade, a user's own service; and that install, remove and purge leave
# nothing.
#
#	package.sh BUILD [ROOT [DEB]]	a root of debootstrap and a package
#					that are there already
set -u

NAME=package
TOP=$(cd "$(dirname "$0")/../.." && pwd)
FAILED=0

skip() {
	echo "SKIP $NAME: $*"
	exit 77
}

[ "$(id -u)" = 0 ] || skip "needs root"
for cmd in systemd-nspawn debootstrap dpkg-buildpackage lintian; do
	command -v $cmd >/dev/null 2>&1 || skip "$cmd is not installed"
done
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"

DIR=$(mktemp -d "${TMPDIR:-/tmp}/vpnkit-$NAME.XXXXXX")
finish() {
	rm -rf "$DIR"
}
trap finish EXIT
trap 'exit 129' HUP INT TERM

check() {
	what=$1
	shift
	if "$@" >"$DIR/out" 2>&1; then
		echo "ok   $what"
	else
		echo "FAIL $what (status $?): $*"
		tail -n 20 "$DIR/out" | sed 's/^/     /'
		FAILED=1
	fi
}

in_root() {
	systemd-nspawn -q --keep-unit --register=no --private-network \
	    -D "$ROOT" "$@" </dev/null
}

# What there is, but for what package managers and boots always write.
files() {
	find "$ROOT" -xdev \( -path "$ROOT/var/lib/dpkg" -o \
	    -path "$ROOT/var/log" -o -path "$ROOT/var/cache" -o \
	    -path "$ROOT/var/lib/systemd" -o -path "$ROOT/root" -o \
	    -path "$ROOT/run" -o -path "$ROOT/tmp" -o -path "$ROOT/var/tmp" \
	    -o -name '*-' -o -name '.updated' -o -name '.pwd.lock' \) \
	    -prune -o -print | sed "s|^$ROOT||" | sort
}

# The package.
if [ $# -ge 3 ]; then
	cp "$3" "$DIR/vpnkit.deb"
else
	mkdir "$DIR/src"
	(cd "$TOP" && tar c --exclude=./build --exclude='./build-*' \
	    --exclude=./.git .) | tar x -C "$DIR/src"
	check "dpkg-buildpackage" sh -c "cd '$DIR/src' &&
	    DEB_BUILD_OPTIONS='nocheck parallel=2' dpkg-buildpackage -us -uc -b"
	check "lintian is content" sh -c "
		lintian --allow-root --fail-on error,warning '$DIR'/*.changes"
	cp "$DIR"/vpnkit_*.deb "$DIR/vpnkit.deb"
fi

# The same as an earlier version, to be upgraded.
older() {
	dpkg-deb -R "$DIR/vpnkit.deb" "$DIR/older" &&
	    sed -i 's/^Version: .*/Version: 0.0.1/' "$DIR/older/DEBIAN/control" &&
	    dpkg-deb -b --root-owner-group "$DIR/older" "$DIR/older.deb"
}
check "a package of an earlier version" older

# The system.
if [ $# -ge 2 ]; then
	mkdir "$DIR/root"
	cp -a "$2/." "$DIR/root/"
else
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,\
libpam-systemd,libev4,libbsd0,libjansson4,libldns3,libseccomp2,iproute2,procps,\
iputils-ping \
	    bookworm "$DIR/root" >"$DIR/debootstrap.log" 2>&1 ||
	    skip "debootstrap cannot reach a mirror"
fi
ROOT=$DIR/root
in_root true 2>/dev/null || skip "systemd-nspawn does not work here"
cp "$DIR/vpnkit.deb" "$DIR/older.deb" "$ROOT/root/"
in_root useradd -m someone 2>/dev/null
files >"$DIR/before"
check "install" in_root dpkg -i /root/older.deb
check "its user is there" in_root id vpnkit
check "its socket is enabled" in_root systemctl is-enabled vpnkit.socket
check "exposure is at most 1.6" sh -c "systemd-analyze security --offline=true \
    --root='$ROOT' --threshold=16 vpnkit.service ||
    systemd-analyze security --offline=true --threshold=16 \
	'$ROOT/lib/systemd/system/vpnkit.service'"
cat >"$ROOT/root/test.sh" <<'IN'
check() {
	what=$1
	shift
	if "$@" >/root/out 2>&1; then
		echo "ok   $what"
	else
		echo "FAIL $what (status $?): $*"
		tail -n 15 /root/out | sed 's/^/     /'
		journalctl -u vpnkit -n 15 --no-pager | sed 's/^/     /'
	fi
}
pid() {
	systemctl show -P MainPID vpnkit.service
}
comes() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || return 1
		sleep 0.1
	done
}
another() {
	[ "$(pid)" != 0 ] && [ "$(pid)" != "$1" ] &&
	    systemctl is-active -q vpnkit.service && vpnkit-status >/dev/null
}
guest() {
	vpnkit-tap --socket /run/vpnkit/ethernet.sock -- ip -4 addr show tap0
}
# Since the service started the watchdog has been told so for this long.
fed() {
	at=$(systemctl show -P WatchdogTimestampMonotonic vpnkit.service)
	[ $((at - since)) -ge $1 ]
}
version() {
	dpkg-query -W -f '${Version}' vpnkit
}
as_someone() {
	runuser -u someone -- env XDG_RUNTIME_DIR="$theirs" "$@"
}
their_manager() {
	as_someone systemctl --user is-system-running | grep -qE 'running|degraded'
}
check "the socket listens" systemctl is-active vpnkit.socket
check "nothing runs yet" sh -c '! systemctl is-active vpnkit.service'
check "a guest starts the service" guest
check "the service is active" systemctl is-active vpnkit.service
check "vpnkit-status finds it by itself" vpnkit-status
for d in vpnkit ethd netstackd dnsd portd proxyd; do
	check "the journal knows the lines of $d" sh -c \
	    "journalctl -q -o cat VPNKIT_ROLE=$d | grep -q '^$d'"
done
check "dnsd's own line is there" sh -c "journalctl -q -o cat \
    VPNKIT_DAEMON=dnsd | grep -q '^dnsd: .* servers$'"
check "with its level" sh -c "journalctl -q -o cat -p info VPNKIT_ROLE=dnsd |
    grep -q servers"
check "all are the unit's" sh -c "[ \$(journalctl -q -o cat -u vpnkit \
    VPNKIT_DAEMON=dnsd | wc -l) = \$(journalctl -q -o cat \
    VPNKIT_DAEMON=dnsd | wc -l) ]"
check "it does not run as root" sh -c \
    "[ \"\$(stat -c %U /proc/$(pid))\" != root ]"
for layer in user-ns net-ns pid-ns no-caps no-new-privs seccomp; do
	check "readers have $layer" sh -c "vpnkit-status |
	    grep -A1 'Sandbox of.*dnsd' | grep -qw -e $layer"
done
ip addr add 192.0.2.9/32 dev lo
check "it hears that the host's network has changed" comes sh -c "journalctl \
    -q -o cat -u vpnkit | grep -q \"the host's network has changed\""
old=$(pid)
kill -9 "$old"
check "killed: it is there again" comes another "$old"
check "and serves" guest
mkdir -p /run/systemd/system/vpnkit.service.d
printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/vpnkit.service.d/w.conf
systemctl daemon-reload
systemctl restart vpnkit.service
old=$(pid)
since=$(systemctl show -P WatchdogTimestampMonotonic vpnkit.service)
check "it feeds the watchdog, for three of its periods" comes fed 6000000
check "and was not ended by it" [ "$(pid)" = "$old" ]
kill -STOP "$old"
check "hung: the watchdog starts it again" comes another "$old"
check "and it serves" guest
check "reload" systemctl reload vpnkit.service
check "the earlier version" [ "$(version)" = 0.0.1 ]
old=$(pid)
check "upgrade" dpkg -i /root/vpnkit.deb
check "it is the later one" dpkg --compare-versions "$(version)" gt 0.0.1
check "the service was started again" comes another "$old"
check "the socket still listens" systemctl is-active vpnkit.socket
check "a guest after the upgrade" guest
check "stop" systemctl stop vpnkit.socket vpnkit.service
check "the socket is gone" [ ! -e /run/vpnkit/ethernet.sock ]
check "start again" systemctl start vpnkit.socket
check "a guest after that" guest

# A user's own.
theirs=/run/user/$(id -u someone)
check "a user's manager" loginctl enable-linger someone
check "runs" comes their_manager
check "the user's socket" as_someone systemctl --user start vpnkit.socket
check "a guest starts the user's service" vpnkit-tap \
    --socket "$theirs/vpnkit/ethernet.sock" -- ip -4 addr show tap0
check "which runs as the user" pgrep -u someone -x netstackd
check "and is found by vpnkit-status" as_someone vpnkit-status
check "it stops" as_someone systemctl --user stop vpnkit.socket \
    vpnkit.service
check "nothing of it is left" [ ! -e "$theirs/vpnkit/ethernet.sock" ]
loginctl disable-linger someone

check "remove" dpkg -r vpnkit
check "no process is left" sh -c '! pgrep -u vpnkit'
check "purge" dpkg -P vpnkit
check "the user is gone" sh -c '! getent passwd vpnkit'
check "/run/vpnkit is gone" [ ! -e /run/vpnkit ]
echo end
IN
cat >"$ROOT/etc/systemd/system/test.service" <<'IN'
[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/sh /root/test.sh
StandardOutput=file:/root/result
StandardError=inherit
TimeoutStartSec=600
[Install]
WantedBy=default.target
IN
in_root systemctl enable test.service >/dev/null 2>&1
timeout 700 systemd-nspawn -q --keep-unit --register=no --private-network \
    --bind=/dev/net/tun --capability=CAP_NET_ADMIN -b -D "$ROOT" \
    >"$DIR/boot" 2>&1 </dev/null
cat "$ROOT/root/result"
grep -q '^end$' "$ROOT/root/result" || {
	tail -n 20 "$DIR/boot"
	FAILED=1
}
grep -q '^FAIL' "$ROOT/root/result" && FAILED=1
rm -f "$ROOT/etc/systemd/system/test.service" \
    "$ROOT/etc/systemd/system/default.target.wants/test.service" \
    "$ROOT/root/test.sh"
files >"$DIR/after"
# What a first boot makes, by itself.
check "nothing of it is left" sh -c "
	diff '$DIR/before' '$DIR/after' | grep -i vpnkit; [ \$? = 1 ]"
exit $FAILED
