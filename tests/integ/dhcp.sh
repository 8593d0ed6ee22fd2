#!/bin/sh
# Real DHCP clients in the guest: an address from nothing, a renewal, a reboot.
. "$(dirname "$0")/lib.sh"

need ip udhcpc dhclient dhcpcd

lab
suite --domain lab.example --mtu 1400
cat >"$DIR/inside.sh" <<'E2'
cd "$1" || exit 2
FAILED=0
check() {
	what=$1
	shift
	if "$@" >new 2>&1; then echo "ok   $what"; else
		echo "FAIL $what: $*"
		cat out new env 2>/dev/null
		FAILED=1
	fi
	mv new out
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

# An old lease of another network: the server's NAK makes it begin again.
forget
sed -i 's/192\.168\.65\./10.0.2./g' leases
check "dhclient that was elsewhere" dhclient -1 -v -sf "$1/script" \
    -lf "$1/leases" -pf "$1/pid" tap0
check "it asked for its old address" grep -q DHCPNAK out
check "and got the right one" grep -qx "new_ip_address='192.168.65.3'" env
dhclient -x -sf "$1/script" -lf "$1/leases" -pf "$1/pid" tap0

# dhcpcd looks three times whether somebody has its address.
forget
mount -t tmpfs none /run
mount -t tmpfs none /var/lib/dhcpcd
cat >dhcpcd.conf <<'S'
option classless_static_routes, interface_mtu, domain_name
S
check "dhcpcd gets a lease and finds nobody else on it" \
    dhcpcd -d -B -1 -4 -t 60 --noipv4ll -f "$1/dhcpcd.conf" -c /bin/true tap0
check "it probed" grep -q "DAD completed for 192.168.65.3" out
check "its address" sh -c "ip -o addr show tap0 | grep -q 192.168.65.3/24"
check "its route" sh -c "ip route | grep -q 'default via 192.168.65.1'"
sh -c "ip addr flush dev tap0; ip route flush dev tap0"
check "dhcpcd reboots with its old lease" \
    dhcpcd -d -A -B -1 -4 -t 60 --noipv4ll -f "$1/dhcpcd.conf" \
    -c /bin/true tap0
check "it asked for the same address" grep -q "rebinding lease of" out

NETWORKD=/lib/systemd/systemd-networkd
if [ ! -x $NETWORKD ] || ! getent passwd systemd-network >/dev/null; then
	echo "skip systemd-networkd: it is not installed"
	exit $FAILED
fi
sh -c "ip addr flush dev tap0; ip route flush dev tap0"
# With a /sys that cannot be written to it does not wait for udev.
mount --bind /sys /sys
mount -o remount,bind,ro /sys
install -d -o systemd-network /run/systemd/netif /run/systemd/netif/leases \
    /run/systemd/netif/links
mkdir /run/systemd/network
cat >/run/systemd/network/tap.network <<'S'
[Match]
Name=tap0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
UseMTU=yes
UseDomains=yes
S
networkd_until() {
	while read -r e <&8; do
		echo "$e"
		case $e in
		*"$1"*) return 0 ;;
		esac
	done
	return 1
}
mkfifo networkd
SYSTEMD_LOG_LEVEL=debug timeout 200 $NETWORKD >networkd 2>&1 &
N=$!
exec 8<networkd
check "systemd-networkd configures the link" \
    networkd_until "-> configured"
check "its lease" cp /run/systemd/netif/leases/* lease
check "its address" grep -qx ADDRESS=192.168.65.3 lease
check "its router" grep -qx ROUTER=192.168.65.1 lease
check "its MTU" grep -qx MTU=1400 lease
check "its domain" grep -qx DOMAINNAME=lab.example lease
check "its classless route" \
    grep -q "ROUTES=0.0.0.0/0,192.168.65.1" lease
check "it renews" sh -c "ip link set tap0 down && ip link set tap0 up"
check "and is configured again" networkd_until "-> configured"
kill $N
check "it says goodbye" networkd_until RELEASE
cat <&8 >/dev/null
wait $N
exit $FAILED
E2
mkdir "$DIR/dhcp"
guest -- sh "$DIR/inside.sh" "$DIR/dhcp" || FAILED=1
done_testing
