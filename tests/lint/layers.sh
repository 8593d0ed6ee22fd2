#!/bin/sh
# layers.sh TREE: who may include what, and a few words that may not appear.
# Each rule prints the lines that break it.
cd "$1" || exit 2
bad=0

rule() {
	what=$1
	shift
	if out=$("$@"); then
		echo "$what:"
		echo "$out" | sed 's/^/	/'
		bad=1
	fi
}

C="--include=*.c --include=*.h --exclude-dir=build --exclude-dir=debian"
DAEMONS="vpnkit ethd netstackd dnsd proxyd portd diagd tools"

for d in $DAEMONS; do
	others=$(echo "$DAEMONS" | tr ' ' '\n' | grep -v "^$d$" | paste -sd'|')
	rule "$d includes another program's header" \
	    grep -rnE $C "#include \"($others)/" "$d"
done
rule "common includes a program's header" \
    grep -rnE $C "#include \"($(echo "$DAEMONS" | tr ' ' '|'))/" common
rule "the core does I/O or reads a clock" \
    grep -rnE $C '#include <(ev|unistd|sys/socket|time|jansson)\.h>' \
    netstackd/core
PURE="common/rd.h common/wr.h common/ipaddr.c common/flowtab.c common/tape.c common/ninep.c ethd/vmnet.c ethd/framer.c
    ethd/lease.c ethd/switch.c portd/policy.c portd/ports.c dnsd/msg.c dnsd/query.c
    dnsd/names.c dnsd/route.c dnsd/cache.c vpnkit/dnsconf.c vpnkit/hosts.c
    vpnkit/resolvconf.c vpnkit/httpconf.c dnsd/answer.c proxyd/head.c
    proxyd/body.c proxyd/hello.c proxyd/match.c proxyd/target.c
    proxyd/rewrite.c portd/front/spec.c
    portd/front/fs.c portd/front/fs_tree.c portd/front/http.c
    portd/front/api.c portd/front/muxframe.c portd/front/mux.c"
rule "a pure file does I/O or reads a clock" \
    grep -nE '#include <(ev|unistd|sys/socket|time)\.h>' $PURE
rule "ldns outside of tests" \
    sh -c "grep -rln $C '#include <ldns' . | grep -v '^./tests/'"
rule "an #ifdef on a system outside common/plat" \
    sh -c "grep -rnE $C '#.*(__linux__|__APPLE__|_WIN32)' . |
	grep -v '^./common/plat/'"
rule "a call that is not bounded" \
    grep -rnwE $C '(sprintf|strcpy|strcat|alloca|atoi|gets)\(' \
    common $DAEMONS
rule "a sleep in a unit test" \
    grep -rnwE $C '(sleep|usleep|nanosleep)\(' tests/unit tests/pkt
rule "a TODO without an issue" \
    grep -rnwE $C '(TODO|FIXME|XXX)' common $DAEMONS tests
rule "trailing white space" \
    grep -rnE $C '[[:space:]]$' common $DAEMONS tests
exit $bad
