#!/bin/sh
# build.sh DIR: builds DIR/rootlesskit from Debian's package of its source,
# with the vpnkit driver, which Debian leaves out because the two Go packages
# it imports are not there; those are vmnet.go and water.go of this folder.
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
GO=/usr/share/gocode
RK=github.com/rootless-containers/rootlesskit
mkdir -p "$1"
OUT=$(cd "$1" && pwd)
[ ! -x "$OUT/rootlesskit" ] || exit 0
rm -rf "$OUT/go"
mkdir -p "$OUT/go/src/github.com/moby/vpnkit/go/pkg/vmnet" \
    "$OUT/go/src/github.com/songgao/water" "$OUT/go/src/$RK"
cp "$HERE/vmnet.go" "$OUT/go/src/github.com/moby/vpnkit/go/pkg/vmnet"
cp "$HERE/water.go" "$OUT/go/src/github.com/songgao/water"
cp -r "$GO/src/$RK/." "$OUT/go/src/$RK"
cd "$OUT/go/src/$RK"
sed -i '/^\/\/ +build ignore$/d' pkg/network/vpnkit/vpnkit.go
# The driver's two places in main: the parent's and, behind it, the child's.
awk '/not supported in this Debian package/ {
	n++
	if (n == 1)
		print "opt.NetworkDriver = vpnkit.NewParentDriver(" \
		    "clicontext.String(\"vpnkit-binary\"), mtu, ifname, " \
		    "disableHostLoopback)"
	else
		print "opt.NetworkDriver = vpnkit.NewChildDriver()"
	next
} { print }
/pkg\/network\/slirp4netns"/ { print "\"'$RK'/pkg/network/vpnkit\"" }
END { exit n != 2 }' cmd/rootlesskit/main.go >main.new
mv main.new cmd/rootlesskit/main.go
GO111MODULE=off GOFLAGS=-trimpath GOCACHE=$OUT/cache GOPATH=$OUT/go:$GO \
    CGO_ENABLED=0 go build -o "$OUT/rootlesskit" ./cmd/rootlesskit
rm -rf "$OUT/go" "$OUT/cache"
