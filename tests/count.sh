#!/bin/sh
# count.sh TESTLOG.json: how many tests passed, failed and were skipped, as
# shell assignments.  A test killed by its time limit has failed.
awk '
	/"result": "(OK|EXPECTEDFAIL)"/ { p++; next }
	/"result": "SKIP"/ { s++; next }
	/"result":/ { f++ }
	END { printf "p=%d f=%d s=%d\n", p, f, s }
' "$1"
