#!/bin/sh
# vpnkit-status capture, live into tshark: each filter passes what it is for,
# and nothing else.  Two guests, so that there is something to choose.
. "$(dirname "$0")/lib.sh"

need ip tshark dig ping
SECOND=192.168.65.4

# live N FILTER...: a capture into tshark, which writes a line for each packet:
# interface, kind, addresses and ports.
live() {
	n=$1
	shift
	# What the one before it said is not for us.
	rm -f "$DIR/err$n"
	mkfifo "$DIR/pipe$n"
	"$STATUS" -s "$SOCK" capture "$@" -w "$DIR/pipe$n" 2>"$DIR/err$n" &
	eval "capture$n=$!"
	tshark -l -n -r - -T fields -E separator=/s -e frame.interface_name \
	    -e frame.protocols -e ip.src -e ip.dst -e tcp.port -e udp.port \
	    <"$DIR/pipe$n" >"$DIR/lines$n" 2>/dev/null &
	eval "tshark$n=$!"
	check "capture $*" eventually grep -q capturing "$DIR/err$n"
}

# Each of the patterns comes, and then there is no line without KIND.
passes() {
	n=$1 kind=$2
	shift 2
	for want; do
		check "$kind: $want" eventually grep -qE "$want" "$DIR/lines$n"
	done
	eval "kill -INT \$capture$n; wait \$capture$n; wait \$tshark$n"
	check_not "only $kind" grep -vE "$kind" "$DIR/lines$n"
	rm "$DIR/pipe$n"
}

traffic() {
	tell_as 1 "ip neigh flush dev tap0; ping -q -c 2 -i 0.01 $GATEWAY"
	tell_as 2 "ping -q -c 2 -i 0.01 $GATEWAY"
	tell_as 1 "dig +short +tries=3 one.example"
	tell_as 1 "$PEER down $SERVER 7000 100003"
	tell_as 1 "$PEER udp $SERVER 7000 100 2"
	tell_as 1 "$PEER refused $SERVER 9"
}

lab
lab_dns
suite
for n in 1 2; do
	told_as $n --uuid "$n$n$n$n$n$n$n$n-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
done

live 1 --vm 1
live 2 --vm 2
live 3 --vm 2 --proto icmp
traffic
passes 1 '^vm1 ' "icmp.* $GUEST $GATEWAY" "tcp.* $SERVER $GUEST 7000" " $GUEST $SERVER .*,9"
passes 2 '^vm2 ' "icmp.* $SECOND $GATEWAY" "icmp.* $GATEWAY $SECOND"
passes 3 '^vm2 eth:ethertype:ip:icmp' "icmp.* $GATEWAY $SECOND"

live 1 --proto tcp
live 2 --proto udp
live 3 --proto arp
traffic
passes 1 ':ip:tcp' " $SERVER $GUEST 7000," " $GUEST $SERVER .*,9"
passes 2 ':ip:udp' ":dns $GUEST $GATEWAY" ":dns $GATEWAY $GUEST" " $SERVER $GUEST .*7000"
passes 3 ':arp' '^vm1 .*:arp'

live 1 --host $SERVER
live 2 --port 53
live 3 --host $SERVER --port 7000 --proto tcp
traffic
passes 1 " ($SERVER [0-9.]+|[0-9.]+ $SERVER) " "tcp.* 7000," "tcp.*,9" "udp.*7000"
passes 2 '[ ,]53(,|$)' ":dns $GUEST $GATEWAY" ":dns $GATEWAY $GUEST"
passes 3 ":ip:tcp.* ($SERVER $GUEST|$GUEST $SERVER) (7000,|.*,7000)" " $SERVER $GUEST 7000"

# It says that it captures when the stack does, and not before.
for p in $(pids_of netstackd); do
	kill -STOP $p
done
rm "$DIR/err1"
mkfifo "$DIR/pipe1"
"$STATUS" -s "$SOCK" capture --vm 1 --proto icmp -w "$DIR/pipe1" 2>"$DIR/err1" &
capture1=$!
cat "$DIR/pipe1" >"$DIR/stopped.pcapng" &
reader=$!
check "a stack that is busy is named" eventually grep -q \
    "VM 1: its stack has not taken this up yet" "$DIR/err1"
check_not "and nothing else is claimed" grep -q capturing "$DIR/err1"
for p in $(pids_of netstackd); do
	kill -CONT $p
done
check "which it does when it goes on" eventually grep -q capturing "$DIR/err1"
check "a packet" tell_as 1 "ping -q -c 1 $GATEWAY"
kill -INT $capture1
check "the end of it" wait $capture1
wait $reader
tshark -r "$DIR/stopped.pcapng" -n -T fields -e icmp.type \
    >"$DIR/types" 2>"$DIR/tshark.log"
check "all of it, the question before the answer" sh -c '
	[ "$(tr "\n" " " <"$1")" = "8 0 " ] || { cat "$@"; false; }' - \
    "$DIR/types" "$DIR/err1" "$DIR/tshark.log"

# What it cannot write is no success; who is not there leaves a file alone.
check "a full disk: status 1" exits 1 status capture --last \
    -w /dev/full
echo keep >"$DIR/mine"
check "no such VM: status 3" exits 3 status capture --vm 9 \
    -w "$DIR/mine"
check "and the file is as it was" grep -q keep "$DIR/mine"

# Filters look at all of the headers; what is kept is another matter.
status capture --last --host $GATEWAY --proto icmp -s 20 \
    -w "$DIR/short" 2>"$DIR/err1"
check "short packets of a host" sh -c '[ "$(tshark -r "$1" -T fields \
    -e frame.cap_len 2>"$2" | sort -u)" = 20 ]' - "$DIR/short" "$DIR/tshark.log"

# All VMs in the order of time, also from the first packets of a flow on.
tell_as 1 "ping -q -c 20 -i 0.01 $SERVER"
tell_as 2 "ping -q -c 20 -i 0.01 $SERVER"
tell_as 1 "ping -q -c 20 -i 0.01 $SERVER"
status capture --last --proto icmp \
    -w "$DIR/order" 2>"$DIR/err1"
tshark -r "$DIR/order" -T fields -e frame.time_delta -e frame.interface_name \
    >"$DIR/deltas" 2>"$DIR/tshark.log"
check "two VMs are there" sh -c '[ "$(cut -f 2 "$1" | sort -u | wc -l)" = 2 ]' \
    - "$DIR/deltas"
check "no packet is before the one before it" awk '
	$1 < -0.0005 { print; bad = 1 }
	END { exit bad || NR < 100 }' "$DIR/deltas"

for n in 1 2; do
	tell_as $n leave
done
suite_stop
done_testing
