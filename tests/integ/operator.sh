#!/bin/sh
# What the one who is called at night finds: each thing is broken on purpose,
# and vpnkit-status and the log have to say what it is.  The log is read where
# services put it: as journald and as syslog get it.
. "$(dirname "$0")/lib.sh"

need ip jq dig socat prlimit
JOURNAL=$DIR/journal SYSLOG=$DIR/syslog

# A daemon's socket for logs, into a file.
collect() {
	socat -u "UNIX-RECV:$1" "OPEN:$2,creat,append" &
	eventually [ -S "$1" ]
}

lab
lab_dns
collect "$JOURNAL" "$DIR/journal.txt"
collect "$SYSLOG" "$DIR/syslog.txt"

suite --log "journal:$JOURNAL"
told_guest

# The journal.
check "the journal has dnsd's own line" eventually grep -q \
    '^MESSAGE=dnsd: .* servers$' "$DIR/journal.txt"
for field in PRIORITY=6 SYSLOG_IDENTIFIER=vpnkit VPNKIT_DAEMON=dnsd \
    VPNKIT_DAEMON=ethd VPNKIT_DAEMON=vpnkit VPNKIT_ROLE=dnsd \
    "VPNKIT_PID=$(pids_of dnsd)"; do
	check "and $field" eventually grep -qx "$field" "$DIR/journal.txt"
done
check "nothing is on stderr" [ ! -s "$LOG" ]
check "a stack's debugging" status log debug netstackd-1
check "is known by its VM" eventually grep -qx "VPNKIT_VM=1" "$DIR/journal.txt"
check "and its address" eventually grep -qx "VPNKIT_VM_ADDRESS=$GUEST" "$DIR/journal.txt"
status log info netstackd-1
check "every line is a field" sh -c \
    "! grep -avqE '^[A-Z_]+=[ -~]*$' '$DIR/journal.txt'"

# A daemon dies.
OLD=$(pids_of dnsd)
kill -9 "$OLD"
check "a killed dnsd: the journal says so" eventually grep -q \
    "dnsd (pid $OLD) was killed by signal 9" "$DIR/journal.txt"
check "as a warning" sh -c "grep -A1 'dnsd (pid $OLD) was killed' \
    '$DIR/journal.txt' | grep -qx PRIORITY=4"
again() {
	says '.processes[] | select(.name == "dnsd") | .restarts == 1 and
	    .state == "up" and (.["last-end"] | test("signal 9"))' show
}
check "and show says how often and why" eventually again
check "names work again" eventually tell "dig +short +tries=1 one.example"

# One that is there, but does nothing.
PORTD=$(pids_of portd)
kill -STOP "$PORTD"
check "a blocked portd: show says that it does not run" eventually sh -c \
    "'$STATUS' -s '$SOCK' | grep -q '^portd .* stopped '"
check "with the status for it" sh -c "'$STATUS' -s '$SOCK' show >/dev/null
    [ \$? = 4 ]"
kill -CONT "$PORTD"
check "it goes on" eventually sh -c "'$STATUS' -s '$SOCK' show >/dev/null"

# One that is busy with nothing: from the second look on it is known.
mkfifo "$DIR/hold"
"$BUILD/tests/integ/hang" "$PORTD" <"$DIR/hold" >"$DIR/hangs" &
HANG=$!
exec 7>"$DIR/hold"
check "a portd that is made to hang" eventually grep -q hangs "$DIR/hangs"
check "show says so" eventually sh -c \
    "'$STATUS' -s '$SOCK' | grep -q '^portd .* hangs '"
check "and so does its JSON" comes '.healthy == false and
    (.processes[] | select(.name == "portd") | .state == "hangs")' show
check "with the status for it, too" sh -c "'$STATUS' -s '$SOCK' show >/dev/null
    [ \$? = 4 ]"
check "names do not need it" tell "dig +short +tries=1 host.internal"
exec 7>&-
check "it is let go" wait $HANG
check "and goes on" eventually sh -c "'$STATUS' -s '$SOCK' show >/dev/null"
check "as the same process" [ "$(pids_of portd)" = "$PORTD" ]

# A slow, and then a dead name server.
DNSMASQ=$(pgrep -P $$ -x dnsmasq)
tell "dig +short one.example"
kill -STOP "$DNSMASQ"
tell "dig +short +tries=1 +timeout=9 two.example three.example \
    four.example; true"
silent() {
	says '.servers[0] | .answers == false and .unanswered > 0' dns
}
check "a silent name server is known as that" eventually silent
check "the query's end, too" comes '[.queries[] | select(.name ==
    "two.example" and .answer == "SERVFAIL" and .took > 0.3)] |
    length >= 1' explain two.example
check "and in the log" eventually grep -q "192.0.2.1#53 does not answer" \
    "$DIR/journal.txt"
kill -CONT "$DNSMASQ"
answers() {
	tell "dig +short +tries=1 +timeout=1 one.example; true"
	says '.servers[0].answers' dns
}
check "it answers again" eventually answers

told_leave
suite_stop
check "the last words are there" eventually grep -q "vpnkit: stopping" \
    "$DIR/journal.txt"

# No descriptors: more connects to nowhere than there can be.
WRAP="prlimit --nofile=96:96"
suite --log "journal:$JOURNAL"
WRAP=
guest -- sh -c 'for i in $(seq 100); do
	"$1" unreach 198.51.100.$i 80 300 &
done; wait' - "$PEER" >/dev/null 2>&1
short() {
	says '[.counters[] | select(.process == "portd" or
	    .process == "netstackd-1")] | length >= 1' explain drops
}
check "no descriptors: explain drops has a counter for it" eventually short
suite_stop

# Syslog; one who writes to its stderr what is no log line.
suite --log "syslog:$SYSLOG"
guest -- true
eventually pids_of dnsd >/dev/null
check "syslog has lines of RFC 3164" eventually grep -qE \
    "<30>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} vpnkit\[$(pids_of dnsd)\]: dnsd: " \
    "$DIR/syslog.txt"
suite_stop
# Nobody is there: then stderr it is.
suite --log "journal:$DIR/nobody"
guest -- true
check "without a journal it goes to stderr" eventually grep -q "ethd is ready" "$LOG"
suite_stop

# As a service: what systemd says of stderr decides, if it is still so.
mount -t tmpfs none /run
mkdir -p /run/systemd/journal
collect /run/systemd/journal/socket "$DIR/auto.txt"
: >"$LOG"
JOURNAL_STREAM=$(stat -c %d:%i "$LOG")
export JOURNAL_STREAM
suite
guest -- true
check "stderr is the journal: fields by themselves" eventually grep -qx \
    VPNKIT_DAEMON=dnsd "$DIR/auto.txt"
check "and nothing twice" [ ! -s "$LOG" ]
suite_stop
export JOURNAL_STREAM=1:2
suite
guest -- true
check "stderr is something else: it goes there" eventually grep -q \
    "ethd is ready" "$LOG"
suite_stop
done_testing
