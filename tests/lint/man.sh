#!/bin/sh
# man.sh TREE: every manual page passes mandoc's lint.
command -v mandoc >/dev/null || { echo "SKIP: mandoc is not installed"; exit 77; }
cd "$1/docs" || exit 2
out=$(mandoc -Tlint -Wstyle ./*.[1578] 2>&1 |
    grep -vE 'referenced manual not found|operating system explicitly|mandoc.db')
[ -z "$out" ] || { echo "$out"; exit 1; }
