#!/bin/sh
# failed.sh TESTLOG.txt: of each test that failed, what its checks said: the
# lines that tell of a failure and what is indented below them, then the end of
# all it wrote.  At most 40 lines for each of at most 10 tests.
awk '
	function show(	i, room, from) {
		if (!bad || ++ntest > 10)
			return
		print "---- " name ": " result
		for (i = 1; i <= nline; i++)
			if (i in said)
				print line[i]
		room = 40 - nsaid
		for (from = nline; from > 0 && room > 0; from--)
			room -= !(from in said)
		if (nline > nsaid)
			print "---- the end of what it wrote:"
		for (i = from + 1; i <= nline; i++)
			if (!(i in said))
				print line[i]
	}
	/^=+ [0-9]+\/[0-9]+ =+$/ {
		show()
		name = result = ""
		bad = output = nline = nsaid = below = 0
		split("", said)
		next
	}
	/^test: / && !output { name = substr($0, 15); next }
	/^result: / && !output {
		result = substr($0, 15)
		bad = result !~ /^exit status (0|77)$/
		next
	}
	/^-+ (stdout|stderr) -+$/ { output = 1; below = 0; next }
	/^=+$/ { output = 0; next }
	!output { next }
	{
		text = substr($0, 1, 240)
		line[++nline] = text
		telling = text ~ /^FAIL|: (Failure|Error)|:[FE]:|ERROR: |runtime error|^SUMMARY/
		below = telling || (below && text ~ /^ /)
		if (below && nsaid < 25) {
			said[nline]
			nsaid++
		}
	}
	END {
		show()
		if (ntest > 10)
			print "---- and " ntest - 10 " more"
	}
' "$1"
