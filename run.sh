#!/bin/sh
# run.sh [--mtu N] [--keep-logs] [-- COMMAND...]
#
# Builds the suite if it must, starts it in a private runtime directory,
# attaches a network namespace to it as guest and runs COMMAND (or a shell) in
# there.  Everything it started is gone afterwards.  The only thing it may ask
# for sudo is to install missing packages.
set -eu

usage() {
	sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
	exit "$1"
}

mtu=1500 keep=
while [ $# -gt 0 ]; do
	case $1 in
	--mtu) [ $# -gt 1 ] || usage 1; mtu=$2; shift 2 ;;
	--mtu=*) mtu=${1#--mtu=}; shift ;;
	--keep-logs) keep=1; shift ;;
	-h | --help) usage 0 ;;
	--) shift; break ;;
	*) usage 1 ;;
	esac
done

top=$(cd "$(dirname "$0")" && pwd)
build=$top/build/release
say() { echo "run.sh: $*" >&2; }

. "$top/tests/packages.sh"
# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES $RUN_PACKAGES

if [ ! -e "$build/build.ninja" ]; then
	say "building a release into $build"
	mkdir -p "$top/build"
	meson setup "$build" "$top" --buildtype=release \
	    >"$top/build/setup.log" 2>&1 || {
		cat "$top/build/setup.log" >&2
		exit 1
	}
fi
ninja -C "$build" >"$build/ninja.log" 2>&1 || {
	tail -n 30 "$build/ninja.log" >&2
	say "the build failed: $build/ninja.log has all of it"
	exit 1
}

run=$(mktemp -d "${XDG_RUNTIME_DIR:-/tmp}/vpnkit.XXXXXX")
suite=
finish() {
	status=$?
	if [ -n "$suite" ]; then
		kill "$suite" 2>/dev/null || :
		wait "$suite" 2>/dev/null || :
	fi
	if [ -n "$keep" ]; then
		say "the log is $run/log"
	else
		rm -rf "$run"
	fi
	exit $status
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 143' TERM

"$build/vpnkit/vpnkit" --ethernet "$run/ethernet.sock" --mtu "$mtu" \
    2>"$run/log" &
suite=$!
say "vpnkit runs as pid $suite in $run"
say "guest: a namespace at 192.168.65.3, gateway and DNS 192.168.65.1, this host 192.168.65.2"

status=0
if [ $# -gt 0 ]; then
	say "running: $*"
	"$build/tools/vpnkit-tap" --socket "$run/ethernet.sock" -- "$@" ||
	    status=$?
else
	say "a shell; leave it with exit"
	"$build/tools/vpnkit-tap" --socket "$run/ethernet.sock" || status=$?
fi
if [ $status -ne 0 ] && ! kill -0 "$suite" 2>/dev/null; then
	say "vpnkit has died; the end of its log:"
	tail -n 20 "$run/log" >&2
fi
exit $status
