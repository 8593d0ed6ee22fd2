#!/bin/sh
# long.sh BUILD [SECONDS [TARGET...]]: fuzzes with a build that has -Dfuzz=true,
# each target for an hour unless told otherwise, one after the other.  What is
# learned stays in BUILD/corpus for the next time; an input that fails is left
# in BUILD/found.  The last line counts.
set -u
build=$1 secs=${2:-3600}
here=$(cd "$(dirname "$0")" && pwd)
shift
[ $# = 0 ] || shift
# shellcheck disable=SC2012,SC2046
[ $# -gt 0 ] || set -- $(cd "$here" && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')

export ASAN_OPTIONS=abort_on_error=1:quarantine_size_mb=16
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
mkdir -p "$build/found"
passed=0 failed=0
for name; do
	mkdir -p "$build/corpus/$name"
	log=$build/fuzz-$name.log
	if nice "$build/tests/fuzz/fuzz_$name" -max_total_time="$secs" \
	    -max_len=2048 -len_control=0 -timeout=30 -print_final_stats=1 \
	    -artifact_prefix="$build/found/$name-" \
	    "$build/corpus/$name" "$here/corpus/$name" >"$log" 2>&1; then
		passed=$((passed + 1))
		echo "$name: $(awk '/executed_units/ { n = $2 }
		    /average_exec/ { r = $2 }
		    END { print n, "runs,", r, "each second" }' "$log")"
	else
		failed=$((failed + 1))
		echo "FAIL fuzz-$name, see $log"
		grep -E 'not so|ERROR: |runtime error' "$log" | head -n 5
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
