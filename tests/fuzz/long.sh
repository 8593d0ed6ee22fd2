#!/bin/sh
# long.sh BUILD [SECONDS [TARGET...]]: fuzzes with a build that has -Dfuzz=true,
# until each target has had SECONDS of CPU time (an hour) without a finding.
#
# That may take many runs.  The targets take turns of $FUZZ_SLICE seconds (300),
# whoever has had least first, and what a turn has done is added to
# $FUZZ_DIR/ledger: so it may be stopped at any time, with TERM, and the next
# call goes on from there.  $FUZZ_DIR (BUILD/fuzz-state) also has what was
# learned, corpus, and the inputs that failed, found.  SECONDS of 0 only prints
# the ledger, as a table; the last line counts.
set -u
build=$1 goal=${2:-3600}
here=$(cd "$(dirname "$0")" && pwd)
dir=${FUZZ_DIR:-$build/fuzz-state}
slice=${FUZZ_SLICE:-300}
ledger=$dir/ledger
shift
[ $# = 0 ] || shift
# shellcheck disable=SC2012,SC2046
[ $# -gt 0 ] || set -- $(cd "$here" && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')

export ASAN_OPTIONS=abort_on_error=1:quarantine_size_mb=16
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
mkdir -p "$dir/found" "$dir/log"
touch "$ledger"
pid='' stop='' failed=0 bad_ones=' '

# A line of the ledger: target, inputs run, CPU seconds, findings, and CPU
# seconds since the last of these.
enter() {
	awk -v name="$1" -v runs="$2" -v cpu="$3" -v bad="$4" '
	$1 == name {
		$2 += runs; $3 += cpu; $4 += bad
		$5 = bad ? 0 : $5 + cpu
		seen = 1
	}
	{ print }
	END { if (!seen) print name, runs, cpu, bad, bad ? 0 : cpu }
	' "$ledger" >"$ledger.new" && mv "$ledger.new" "$ledger"
}

# The target that has had least, if it has not had enough; one that has failed
# in this call would most likely fail again.
neediest() {
	for name; do echo "$name"; done | awk -v goal="$goal" -v bad="$bad_ones" '
	FILENAME != "-" { had[$1] = $5; next }
	had[$1] < goal && index(bad, " " $1 " ") == 0 && (best == "" || had[$1] < had[best]) { best = $1 }
	END { print best }' "$ledger" -
}

# Sets $cpu: the user and system time of all turns so far, in whole seconds.
# A subshell would have times of its own.
cpu() {
	times >"$dir/times"
	cpu=$(tail -n 1 "$dir/times" | tr ms '  ' |
	    awk '{ print int($1 * 60 + $2 + $3 * 60 + $4) }')
}

# libFuzzer ends well, and counts, when told so.
trap 'stop=1; [ -z "$pid" ] || kill -USR1 "$pid" 2>/dev/null' INT TERM

# One turn of a target.  Its entropic schedule would cost half of the time: it
# walks a table of all features for each input.  What is a script goes further
# in many short runs than in few long ones.
turn() {
	mkdir -p "$dir/corpus/$1"
	case $1 in
	core | reasm) max=1024 ;;
	*) max=2048 ;;
	esac
	log=$dir/log/$1
	cpu
	before=$cpu
	"$build/tests/fuzz/fuzz_$1" -max_total_time="$slice" -max_len=$max \
	    -len_control=0 -entropic=0 -timeout=60 -rss_limit_mb=4096 \
	    -print_final_stats=1 -artifact_prefix="$dir/found/$1-" \
	    "$dir/corpus/$1" "$here/corpus/$1" >"$log" 2>&1 &
	pid=$!
	wait "$pid"
	status=$?
	# A signal ends the wait only.
	while kill -0 "$pid" 2>/dev/null; do
		wait "$pid"
		status=$?
	done
	pid='' bad=0
	# 72: told to end; 138: told before it listened.
	case $stop$status in
	0 | 10 | 172 | 1138) ;;
	*)
		bad=1 failed=$((failed + 1)) bad_ones="$bad_ones$1 "
		cp "$log" "$dir/log/$1.failed"
		echo "FAIL fuzz-$1 (status $status), see $log.failed"
		grep -E 'not so|ERROR: |runtime error' "$log" | head -n 5
		;;
	esac
	runs=$(awk '/executed_units/ { n = $2 } END { print n + 0 }' "$log")
	cpu
	enter "$1" "$runs" $((cpu - before)) $bad
}

table() {
	echo "target          runs  CPU s  each s  findings  CPU s since"
	sort "$ledger" | awk '{
		printf "%-12s %7.1fM %6d %7d %9d %12d\n", $1, $2 / 1e6, $3,
		    $3 ? $2 / $3 : 0, $4, $5 }'
}

while [ -z "$stop" ]; do
	name=$(neediest "$@")
	[ -n "$name" ] || break
	turn "$name"
done
table
left=$(for name; do echo "$name"; done | awk -v goal="$goal" '
    FILENAME != "-" { had[$1] = $5; next } had[$1] < goal { n++ } END { print n + 0 }
    ' "$ledger" -)
echo "$(($# - left)) passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
