#!/bin/sh
# service.sh TREE BUILD: the files for service managers.  The unit's exposure
# and the address families it leaves us, and launchd's property list as XML and
# by key.
OUT=$2/service
fail=0

check() {
	what=$1
	shift
	if out=$("$@" 2>&1); then
		echo "ok   $what"
	else
		echo "FAIL $what: $out"
		fail=1
	fi
}

# Those of hypervisors' sockets are for who asks for one: a drop-in adds them.
families() {
	grep -ohwE 'AF_[A-Z0-9]+' "$1"/vpnkit/*.c "$1"/portd/*.c \
	    "$1"/common/plat/*.c | grep -vxE 'AF_(UNSPEC|VSOCK)' | sort -u
}

allows() {
	grep '^RestrictAddressFamilies=' "$1" | grep -qw "$2"
}

for family in $(families "$1"); do
	check "the unit allows $family" \
	    allows "$1/service/vpnkit.service.in" "$family"
done
if command -v systemd-analyze >/dev/null && [ -e "$OUT/vpnkit.service" ]; then
	check "exposure of at most 1.6" systemd-analyze security \
	    --offline=true --threshold=16 "$OUT/vpnkit.service"
else
	echo "skip the unit: systemd-analyze is not installed"
fi
for unit in "$1/service/vpnkit.socket" "$1/service/user/vpnkit.socket"; do
	check "$unit listens where vpnkit-status looks" \
	    grep -qE '^ListenStream=(/run|%t)/vpnkit/ethernet.sock$' "$unit"
done
if /usr/bin/python3 -c 'import plistlib' 2>/dev/null; then
	check "the property list" /usr/bin/python3 -c '
import plistlib, sys
p = plistlib.load(open(sys.argv[1], "rb"))
assert p["Label"] == "org.mobyproject.vpnkit"
args = p["ProgramArguments"]
assert args[0].endswith("/bin/vpnkit")
name = args[args.index("--ethernet") + 1]
assert name.startswith("launchd:")
socket = p["Sockets"][name[8:]]
assert socket["SockPathName"].startswith("/var/run/vpnkit/")
assert socket["SockPathMode"] == 0o600
# launchd makes the socket, and is asked for it by its name; no other key of
# launchd.plist(5) is used, so a misspelt one is none, and none starts it early.
assert set(socket) == {"SockPathName", "SockPathMode"}
assert set(p) == {"Label", "ProgramArguments", "Sockets", "ProcessType",
    "KeepAlive", "SoftResourceLimits", "StandardErrorPath"}
assert p["KeepAlive"] == {"SuccessfulExit": False}
assert p["SoftResourceLimits"]["NumberOfFiles"] >= 4096
' "$OUT/org.mobyproject.vpnkit.plist"
else
	echo "skip the property list: python3 is not installed"
fi
if command -v xmllint >/dev/null; then
	check "as XML" xmllint --nonet --noout "$OUT/org.mobyproject.vpnkit.plist"
else
	echo "skip the property list as XML: xmllint is not installed"
fi
exit $fail
