# Debian packages by what needs them, and how they are installed.  Sourced by
# run.sh and test.sh, which is all that ever installs anything.

BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config libev-dev libbsd-dev
    libjansson-dev libldns-dev libseccomp-dev check"
RUN_PACKAGES="ca-certificates"
TEST_PACKAGES="clang libclang-rt-14-dev mandoc iproute2 iputils-ping procps
    isc-dhcp-client udhcpc dhcpcd-base systemd traceroute mtr-tiny nmap
    dnsmasq-base bind9-dnsutils dnsperf ldnsutils musl-tools
    uidmap curl jq socat tshark bsdutils python3
    python3-prometheus-client systemd-container debootstrap
    zsh fish libxml2-utils debhelper lintian dpkg-dev busybox-static qemu-system-x86 cpio util-linux
    golang-go golang-github-rootless-containers-rootlesskit-dev
    golang-github-google-uuid-dev golang-github-urfave-cli-v2-dev"
# Their services are not to run because of us: see install_servers.
SERVER_PACKAGES="nginx-light squid tinyproxy unbound"
BENCH_PACKAGES="iperf3 ethtool python3 passt slirp4netns dnsperf"

sudo=
# Installs those of the named packages that are missing and exist; says which.
install_packages() {
	missing=
	for p; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
		    grep -q 'ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "not Debian or Ubuntu: install the equivalents of:$missing" >&2
		return 1
	fi
	[ "$(id -u)" = 0 ] || sudo=sudo
	if [ -n "$sudo" ] && ! command -v sudo >/dev/null 2>&1; then
		echo "as root: apt-get install$missing" >&2
		return 1
	fi
	echo "installing:$missing" >&2
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2 ||
	    echo "apt-get update failed: trying what is known already" >&2
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
	    --no-install-recommends $missing >&2
}

# The same for servers: while they are installed nothing is started, and then
# they are not enabled either.
install_servers() {
	new=
	for p; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
		    grep -q 'ok installed' || new="$new $p"
	done
	[ -n "$new" ] || return 0
	[ "$(id -u)" = 0 ] || sudo=sudo
	policy=/usr/sbin/policy-rc.d
	if [ -e $policy ]; then
		policy=
	else
		printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
		$sudo chmod 755 $policy
	fi
	# shellcheck disable=SC2086
	install_packages $new
	status=$?
	[ -z "$policy" ] || $sudo rm $policy
	for p in $new; do
		$sudo systemctl disable "${p%-light}" >/dev/null 2>&1
	done
	return $status
}
