#!/bin/sh
# options.sh TREE BUILD: the help of each program against its manual page: every
# option is in both, and so is each default.
fail=0
bad() {
	echo "FAIL $*"
	fail=1
}

# NAME DEFAULT, from the help; its lines are joined first.
in_help() {
	"$1" --help | awk '
	    function out() {
		if (match(text, /^ *(-[a-z], )?--[a-z0-9-]+/)) {
			name = substr(text, RSTART, RLENGTH)
			sub(/.*--/, "", name)
			at = match(text, /\(default [^)]*\)/)
			print name, at ? substr(text, at + 9, RLENGTH - 10) : ""
		}
		text = ""
	    }
	    /^ *(-[a-z], )?--/ || /^$/ { out() }
	    { text = text " " $0 }
	    END { out() }' | sort -u
}

# NAME and all that is said of it, on one line each.
in_manual() {
	awk 'function out() {
		while (k > 0)
			print name[k--], text
		text = ""
	    }
	    /^\.(It|El|Sh)/ { out() }
	    /^\.It .*Fl -/ {
		n = split($0, w, "Fl -")
		for (i = 2; i <= n; i++) {
			split(w[i], x, " ")
			name[++k] = x[1]
		}
	    }
	    { text = text " " $0 }
	    END { out() }' "$1"
}

both() {
	in_help "$1" >"$TMP/help"
	in_manual "$2" >"$TMP/manual"
	[ -s "$TMP/help" ] || bad "$1 --help names no option"
	while read -r name default; do
		# Those of old launchers are named in a sentence.
		said=$(grep "^$name " "$TMP/manual") ||
			grep -qE "^\.Fl -$name( |\$)" "$2" ||
			bad "$2 does not know --$name"
		[ -z "$default" ] || echo "$said" | grep -qF -e "$default" ||
			bad "$2: the default of --$name is $default"
	done <"$TMP/help"
	while read -r name said; do
		"$1" --help | grep -qE -e "--$name( |$|,)" ||
			bad "$1 --help does not know --$name"
	done <"$TMP/manual"
}

TMP=$(mktemp -d) || exit 2
trap 'rm -r "$TMP"' EXIT
both "$2/vpnkit/vpnkit" "$1/docs/vpnkit.8"

# Words of the configuration files, as the parsers have them.
words() {
	sed -nE 's/^\t\{ "([a-z-]+)", [a-z_]+ \},.*/\1/p' "$1/vpnkit/dnsconf.c"
	grep -ohE 'json_object_get\([a-z]+, "[a-zA-Z_]+"' "$1/vpnkit/httpconf.c" \
	    "$1/vpnkit/conf.c" | sed -E 's/.*"([a-zA-Z_]+)"/\1/'
}
for word in $(words "$1" | sort -u); do
	grep -qE "^\.It .*(Ic|Cm) $word( |\$)" "$1/docs/vpnkit.conf.5" ||
	    bad "vpnkit.conf.5 does not know $word"
done
exit $fail
