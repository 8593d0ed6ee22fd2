#!/bin/sh
# completions.sh TREE BUILD: each shell reads its completions, bash's are
# tried, and all name every command that the program knows.
DIR=$1/tools/completions
fail=0
bad() {
	echo "FAIL $*"
	fail=1
}

for cmd in $("$2/tools/vpnkit-status" --help |
    sed -n 's/^  \([a-z]*\) .*/\1/p'); do
	for f in "$DIR"/*; do
		grep -qw "$cmd" "$f" || bad "$f does not know $cmd"
	done
	grep -q "^.It Ic $cmd" "$1/docs/vpnkit-status.8" ||
	    bad "the manual does not know $cmd"
done
if command -v bash >/dev/null; then
	got=$(bash -c '. "$1"; COMP_WORDS=(vpnkit-status re) COMP_CWORD=1
	    _vpnkit_status; echo "${COMPREPLY[@]}"
	    COMP_WORDS=(vpnkit-status log d) COMP_CWORD=2
	    _vpnkit_status; echo "${COMPREPLY[@]}"' - \
	    "$DIR/vpnkit-status.bash")
	[ "$got" = "restart reload
debug dnsd diagd" ] || bad "bash completes to: $got"
fi
if command -v zsh >/dev/null; then
	zsh -n "$DIR/_vpnkit-status" || bad "zsh"
fi
if command -v fish >/dev/null; then
	fish --no-execute "$DIR/vpnkit-status.fish" || bad "fish"
fi
exit $fail
