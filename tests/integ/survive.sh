#!/bin/sh
# Daemons killed again and again during one transfer that does not need them,
# or only needs them back: every byte of it still arrives, both ways.
. "$(dirname "$0")/lib.sh"

BYTES=${BYTES:-1000000007}
KILLS=5
need ip pgrep

lab
suite
# Each round: a transfer says that it runs, the daemons are killed as often as
# they come back, and the transfer compares what it got.
for victims in ethd "portd dnsd proxyd"; do
	rm -f "$DIR/go" "$DIR/transfer"
	mkfifo "$DIR/go"
	guest --uuid aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa -- sh -c '
		"$1" tcprr 192.0.2.1 7000 1
		echo go >"$2/go"
		"$1" both 192.0.2.1 7000 "$3" >"$2/transfer" 2>&1' - \
	    "$PEER" "$DIR" "$BYTES" &
	guest=$!
	read -r _go <"$DIR/go"
	done=0
	while [ $done -lt $KILLS ]; do
		for d in $victims; do
			# Not one that is dead already and only not reaped.
			until pid=$(pids_of "$d") &&
			    [ "$pid" != "$(cat "$DIR/$d" 2>/dev/null)" ] &&
			    kill -9 "$pid" 2>/dev/null; do
				:
			done
			echo "$pid" >"$DIR/$d"
		done
		done=$((done + 1))
	done
	check "a transfer through $KILLS deaths of $victims" wait $guest
	check "every byte of it" grep -qx "bytes $BYTES" "$DIR/transfer"
done
done_testing
