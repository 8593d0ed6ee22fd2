#!/bin/sh
# completions.sh TREE BUILD: what each shell completes to, asked of the shell
# itself; and all of them, and the manual, name every command and option that
# the program knows.
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
for opt in $(sed -nE 's/^\t\{ "([a-z]+)", (required|no)_argument.*/\1/p' \
    "$1/tools/status/capture.c"); do
	for f in "$DIR"/*; do
		grep -qE -e "(--|-l )$opt\>" "$f" || bad "$f does not know --$opt"
	done
	grep -qE -e "Fl -$opt( |$)" "$1/docs/vpnkit-status.8" ||
	    bad "the manual does not know --$opt"
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
# An interactive one, on a terminal of its own: the completed line is run, and
# says what became of it.
if zsh -fc 'zmodload zsh/zpty' 2>/dev/null; then
	got=$(timeout 60 zsh -fc 'zmodload zsh/zpty; setopt extendedglob
	    zpty z "TERM=dumb zsh -fi"
	    zpty -w z "PS1= fpath=($1 \$fpath); autoload -Uz compinit"
	    zpty -w z "compinit -u -D"
	    zpty -w z "vpnkit-status() { print -r -- \"<\$*>\" }"
	    for line in rel "log deb" "capture --sn"; do
		zpty -w z "vpnkit-status $line$2"
		zpty -r z out "*<[a-z -]#>"
		print -r -- ${out##*<}
	    done' - "$DIR" "$(printf '\t')" | tr -d '\r>')
	[ "$got" = "reload
log debug
capture --snaplen" ] || bad "zsh completes to: $got"
else
	echo "skip zsh: it is not installed"
fi
if command -v fish >/dev/null; then
	got=$(HOME=/nonexistent fish --no-config -c 'source $argv[1]
	    complete -C "vpnkit-status re"
	    complete -C "vpnkit-status log d"
	    complete -C "vpnkit-status capture --sn"' \
	    "$DIR/vpnkit-status.fish" 2>/dev/null | cut -f1 | sort | tr '\n' ' ')
	[ "$got" = "--snaplen debug diagd dnsd reload restart " ] ||
	    bad "fish completes to: $got"
else
	echo "skip fish: it is not installed"
fi
exit $fail
