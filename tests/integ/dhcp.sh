#!/bin/sh
# Real DHCP clients in the guest: an address from nothing, and a renewal.
. "$(dirname "$0")/lib.sh"

need ip udhcpc dhclient

lab
suite --domain lab.example --mtu 1400
cat >"$DIR/inside.sh" <<'E2'
cd "$1" || exit 2
FAILED=0
check() {
	what=$1
	shift
	if "$@" >out 2>&1; then echo "ok   $what"; else
		echo "FAIL $what: $*"
		cat out env 2>/dev/null
		FAILED=1
	fi
}
forget() {
	ip addr flush dev tap0
	rm -f env
}
cat >script <<'S'
#!/bin/sh
case ${reason:-$1} in
PREINIT | deconfig) exit 0 ;;
esac
set >>"$(dirname "$0")/env"
echo "event='${reason:-$1}'" >>"$(dirname "$0")/env"
[ -z "${ip:-}" ] || ip addr replace "$ip/$mask" dev tap0
exit 0
S
chmod +x script

forget
check "udhcpc gets a lease" udhcpc -i tap0 -n -q -f -O mtu -s "$1/script"
check "its address" grep -qx "ip='192.168.65.3'" env
check "its mask" grep -qx "subnet='255.255.255.0'" env
check "its router" grep -qx "router='192.168.65.1'" env
check "its DNS" grep -qx "dns='192.168.65.1'" env
check "its domain" grep -qx "domain='lab.example'" env
check "its MTU" grep -qx "mtu='1400'" env

forget
mkfifo event
cat >script2 <<'S'
#!/bin/sh
ip addr replace "$ip/$mask" dev tap0 2>/dev/null
echo "$1 $ip" >"$(dirname "$0")/event"
S
chmod +x script2
udhcpc -i tap0 -f -s "$1/script2" >/dev/null 2>&1 &
U=$!
exec 8<>event
next() {
	while read -r e <&8; do
		[ "${e%% *}" = deconfig ] || break
	done
	[ "$e" = "$*" ] || { echo "got '$e'"; return 1; }
}
check "udhcpc is bound" next bound 192.168.65.3
kill -USR1 $U
check "udhcpc renews" next renew 192.168.65.3
kill $U

forget
check "dhclient gets a lease" dhclient -1 -v -sf "$1/script" \
    -lf "$1/leases" -pf "$1/pid" tap0
check "its address" grep -qx "new_ip_address='192.168.65.3'" env
check "dhclient stops" dhclient -x -sf "$1/script" -lf "$1/leases" \
    -pf "$1/pid" tap0
rm -f env
check "dhclient reboots with its old lease" dhclient -1 -v -sf "$1/script" \
    -lf "$1/leases" -pf "$1/pid" tap0
check "it asked for the same address" grep -q "event='REBOOT'" env
dhclient -x -sf "$1/script" -lf "$1/leases" -pf "$1/pid" tap0
exit $FAILED
E2
mkdir "$DIR/dhcp"
guest -- sh "$DIR/inside.sh" "$DIR/dhcp" || FAILED=1
done_testing
