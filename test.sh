#!/bin/sh
# test.sh [--long]: installs what the tests need, builds with gcc and clang
# under ASan and UBSan and once as a release, and runs everything.  The last
# line counts: N passed, N failed, N skipped.
set -u
cd "$(dirname "$0")" || exit 2
LONG=
[ "${1:-}" != --long ] || LONG=1

. tests/packages.sh
# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES $TEST_PACKAGES || exit 2
# shellcheck disable=SC2086
install_servers $SERVER_PACKAGES || exit 2

export ASAN_OPTIONS=abort_on_error=1:detect_leaks=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
# A limit is there to end what hangs, however busy the machine is.
export CK_TIMEOUT_MULTIPLIER=4
passed=0 failed=0 skipped=0

# The kernel of the virtual machine in tests/integ/qemu.sh: unpacked below
# build/, never installed.
fetch_kernel() {
	[ ! -e build/kernel/boot ] || return 0
	pkg=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
	    awk '/Depends: linux-image/ { print $2; exit }')
	[ -n "$pkg" ] || return 0
	mkdir -p build/kernel/deb
	(cd build/kernel/deb && apt-get download -q "$pkg" >/dev/null 2>&1 &&
	    dpkg-deb -x "$pkg"_*.deb ..)
	rm -rf build/kernel/deb
}

SAN="-Db_sanitize=address,undefined -Dsanitizer_calls=true -Db_lundef=false"

# build NAME CC MESON-OPTIONS...: what it has to say is in build/NAME.log.
build() {
	dir=build/$1 cc=$2
	shift 2
	[ -e "$dir/build.ninja" ] ||
	    CC=$cc nice -n 19 meson setup "$dir" "$@" || exit 1
	CC=$cc exec nice -n 19 ninja -C "$dir"
}

# begin NAME: builds it beside what else runs, in its pauses: most of the tests
# mostly wait.
# shellcheck disable=SC2086
begin() {
	case $1 in
	asan) set -- asan gcc $SAN ;;
	clang) set -- clang clang $SAN ;;
	release) set -- release gcc --buildtype=release ;;
	fuzz) set -- fuzz clang $SAN -Dfuzz=true -Doptimization=2 ;;
	esac
	build "$@" >"build/$1.log" 2>&1 &
	building=$!
}
building=
trap '[ -z "$building" ] || kill $building 2>/dev/null' EXIT
trap 'exit 130' HUP INT TERM

# built NAME: waits for it.
built() {
	wait "$building"
	status=$?
	building=
	[ $status != 0 ] || return 0
	failed=$((failed + 1))
	echo "the build of $1 failed" | tee -a build/failed
	tail -n 40 "build/$1.log" >>build/failed
	return 1
}

# run NAME [MESON-TEST-OPTIONS...]: runs and counts.
run() {
	name=$1
	shift
	echo "== $name"
	meson test -C "build/$name" --no-rebuild --num-processes 4 -t 4 \
	    --print-errorlogs "$@" >"build/$name-test.log" 2>&1
	grep -E '^ *[0-9]+/[0-9]+ ' "build/$name-test.log" |
	    grep -vE ' OK +[0-9.]+s' 
	[ ! -s "build/$name/meson-logs/testlog.json" ] ||
	    tests/count.sh "build/$name/meson-logs/testlog.json" \
	    >"build/$name-count"
	# shellcheck disable=SC1090
	. "./build/$name-count"
	grep -h '^SKIP' "build/$name/meson-logs/testlog.txt" | sort -u
	if [ "$f" -gt 0 ]; then
		cp "build/$name/meson-logs/testlog.txt" "build/$name-failed.txt"
		echo "== failed in $name"
		tests/failed.sh "build/$name-failed.txt"
	fi >>build/failed
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

mkdir -p build
: >build/failed
begin asan
fetch_kernel
for step in "asan clang" "clang release" "release"; do
	name=${step% *} next=${step#* }
	built "$name"
	ok=$?
	[ "$next" = "$name" ] || begin "$next"
	[ $ok = 0 ] || continue
	# Many of the tests mostly wait, so four at a time suit two cores.
	case $name in
	asan) BYTES=100000007 run asan --no-suite bench --no-suite long \
	    --no-suite once ;;
	clang) run clang --no-suite integ --no-suite bench --no-suite long \
	    --no-suite once ;;
	release) run release --suite integ --suite once ${LONG:+--suite long} ;;
	esac
done

# An hour for each fuzz target, less what it has had before.
if [ -n "$LONG" ]; then
	echo "== fuzz"
	begin fuzz
	if built fuzz; then
		tests/fuzz/long.sh build/fuzz | tee build/fuzz-count
		p=$(awk 'END { print $1 }' build/fuzz-count)
		f=$(awk 'END { print $3 }' build/fuzz-count)
		passed=$((passed + p)) failed=$((failed + f))
	fi
fi

# Last, since the end is what is looked at.
cat build/failed
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
