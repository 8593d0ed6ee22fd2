#!/bin/sh
# All ports of host-ip scanned from the guest with half-open connections, 2,000
# with whole ones; then everything works, and nothing is left of them.
. "$(dirname "$0")/lib.sh"

need ip ping nmap pgrep

lab
suite
mkfifo "$DIR/step" "$DIR/go"
cat >"$DIR/inside.sh" <<'E2'
# What was found, and the ping after it; each waits to be told to go on.
answer() {
	echo $1 >"$DIR/step"
	read -r _ <"$DIR/go"
}
scan() {
	# Rates above what a loaded machine can do would be the test's fault.
	nmap -n -Pn "$1" -p "$2" -T4 --min-rate $3 --max-retries 6 \
	    --host-timeout 120s 192.168.65.2 >"$DIR/nmap$1" 2>&1
	answer $?
	ping -q -c 3 -i 0.1 192.168.65.2
	answer $?
}
ping -q -c 1 192.168.65.2
"$PEER" down 192.0.2.1 7000 1000003
answer 0
scan -sS - 6000
scan -sT 1-2000,7001 100
scan -sT 40000-40001 1
"$PEER" down 192.0.2.1 7000 1000003
E2
export DIR PEER
guest -- sh "$DIR/inside.sh" >"$DIR/inside.out" 2>&1 &
GUESTPID=$!
read -r _ <"$DIR/step"
before=$(fds_settled)
echo >"$DIR/go"

scanned() {
	read -r status <"$DIR/step"
	cat "$DIR/nmap$1"
	[ "$status" = 0 ] && grep -q '^7001/tcp *open' "$DIR/nmap$1" &&
	    grep -q '^Nmap done: 1 IP address (1 host up)' "$DIR/nmap$1"
}
said() {
	read -r status <"$DIR/step"
	[ "$status" = 0 ]
}
# Only what listens is open: a connect must not meet itself.
honest() {
	grep '/tcp *open' "$DIR/nmap$1" | grep -v '^7001/'
}
for how in -sS -sT; do
	check "nmap $how finds the open port" scanned $how
	check_not "and no other" honest $how
	echo >"$DIR/go"
	check "ping after it" said
	# A scan ends for the guest before it does for the host.
	check "all descriptors are given back" eventually fds_back "$before"
	[ $how = -sT ] || echo >"$DIR/go"
done

# The system has but two ports for its own end of a connection, and a connect
# to one of them comes from it.
sysctl -qw net.ipv4.ip_local_port_range="40000 40001"
echo >"$DIR/go"
read -r status <"$DIR/step"
check_not "a connect does not meet itself" honest -sT
check "both ports are closed" [ "$(grep -c \
    "/tcp *closed" "$DIR/nmap-sT")" = 2 ]
echo >"$DIR/go"
read -r status <"$DIR/step"
sysctl -qw net.ipv4.ip_local_port_range="32768 60999"
echo >"$DIR/go"
check "a transfer after them" wait $GUESTPID
done_testing
