#!/usr/bin/env bash
# Builds the two programs in Go of `make bench` (Tests/Benchmarks/peers): the load server, and the peer over client-go.
#
# Compiler and libraries come from Debian unstable, by the archive that apt is configured for; they are unpacked beside
# the system, never installed. The programs are built once and kept below
# ${XDG_CACHE_HOME:-~/.cache}/egress-gateway/bench. A build needs the network, 1 GB of disk while it lasts, and some
# minutes; what stays takes about 40 MB.
#
# usage: build-peers.sh   prints the folder with load-server, client-go-peer and version as its last line
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
sources=$(cd "$here/../../Tests/Benchmarks/peers" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/egress-gateway/bench
work=$cache/work
suite=sid
# Read by archive.sh.
# shellcheck disable=SC2034
speaker=bench
# Changed sources or another recipe make new programs.
recipe=$(cat "$0" "$sources/packages" "$sources"/*/*.go | sha256sum | cut -c1-12)
entry=$cache/peers_$recipe
# shellcheck source=../apiserver/archive.sh
. "$here/../apiserver/archive.sh"

entry_is_whole() { [ -x "$entry/load-server" ] && [ -x "$entry/client-go-peer" ] && [ -s "$entry/version" ]; }

build_peers() (
  local output=$1 root=$work/root compiler goroot path=$work/gopath
  say "peers: updating the lists of suite $suite"
  archive_open "$suite"
  compiler=$(archive_depends "$suite" golang-go '^golang-[0-9.]+-go$')
  [ -n "$compiler" ] || fail "suite $suite has no golang-go"
  goroot=${compiler#golang-}
  goroot=$root/usr/lib/go-${goroot%-go}
  say "peers: downloading $compiler and $(wc -l <"$sources/packages") libraries"
  rm -rf "$root" "$path"
  # shellcheck disable=SC2046
  archive_unpack "$suite" "$root" "$compiler" "${compiler%-go}-src" $(cat "$sources/packages")
  mkdir -p "$path/src"
  cp -r "$sources/load-server" "$sources/client-go" "$path/src/"
  export GOROOT=$goroot HOME=$work/home GOCACHE=$work/go-cache
  export GOPATH=$path:$root/usr/share/gocode PATH=$goroot/bin:$PATH
  # The network and other tool chains stay out: all there is comes from the packages above.
  export GO111MODULE=off GOPROXY=off GOFLAGS='' GOTOOLCHAIN=local CGO_ENABLED=0
  say 'peers: compiling'
  nice -n 10 go build -trimpath -o "$output/load-server" load-server
  nice -n 10 go build -trimpath -o "$output/client-go-peer" client-go
  nice -n 10 go vet load-server client-go
  archive_apt "$suite" apt-cache show --no-all-versions golang-k8s-client-go-dev |
    sed -n 's/^Version: /client-go /p' | head -n 1 >"$output/version"
  go version | sed 's/^go version //' >>"$output/version"
)

mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 3600 9 || fail "another build has held $cache/lock for an hour"
if ! entry_is_whole; then
  fresh=$cache/new.$recipe
  rm -rf "$fresh"
  mkdir -p "$fresh" "$work/home"
  build_peers "$fresh" >&2
  rm -rf "$entry"
  mv "$fresh" "$entry"
  # Programs of older recipes, and what only a build needs.
  find "$cache" -mindepth 1 -maxdepth 1 -type d -name 'peers_*' ! -path "$entry" -exec rm -rf {} +
  rm -rf "$work"
fi
exec 9>&-
echo "$entry"
