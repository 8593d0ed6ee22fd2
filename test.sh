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

# build NAME MESON-OPTIONS...
build() {
	name=$1
	shift
	mkdir -p build
	if [ ! -e "build/$name/build.ninja" ]; then
		meson setup "build/$name" "$@" >"build/$name.log" 2>&1 || {
			cat "build/$name.log"
			return 1
		}
	fi
	ninja -C "build/$name" >"build/$name.log" 2>&1 || {
		tail -n 60 "build/$name.log"
		return 1
	}
}

# run NAME [MESON-TEST-OPTIONS...]: runs and counts.
run() {
	name=$1
	shift
	echo "== $name"
	meson test -C "build/$name" --no-rebuild --num-processes 4 \
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
		sed -n '/Summary of Failures/,$p' "build/$name-test.log"
		cp "build/$name/meson-logs/testlog.txt" "build/$name-failed.txt"
		grep -hE '^(FAIL|.*: (Failure|Error)|.*ERROR: )' \
		    "build/$name-failed.txt" | head -n 40
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

fetch_kernel
SAN="-Db_sanitize=address,undefined -Dsanitizer_calls=true -Db_lundef=false"
# shellcheck disable=SC2086
for step in "asan gcc" "clang clang" "release gcc"; do
	name=${step% *} cc=${step#* }
	opts=$SAN
	[ "$name" != release ] || opts=--buildtype=release
	if ! CC=$cc build "$name" $opts; then
		echo "the build with $cc ($name) failed"
		failed=$((failed + 1))
		continue
	fi
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
	# shellcheck disable=SC2086
	if CC=clang build fuzz $SAN -Dfuzz=true -Doptimization=2; then
		tests/fuzz/long.sh build/fuzz | tee build/fuzz-count
		p=$(awk 'END { print $1 }' build/fuzz-count)
		f=$(awk 'END { print $3 }' build/fuzz-count)
		passed=$((passed + p)) failed=$((failed + f))
	else
		failed=$((failed + 1))
	fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
