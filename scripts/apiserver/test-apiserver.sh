#!/usr/bin/env bash
# Runs the API server tests against the embedded server and against one made of Kubernetes' own libraries over etcd,
# and ends with a line "N passed, N failed".
#
# The second server and etcd come from Debian unstable, by the archive that apt is configured for; they are built
# once, kept below ${XDG_CACHE_HOME:-~/.cache}/egress-gateway/apiserver, and never installed. A build needs the
# network, 3 GB of disk while it lasts, and six minutes of a core; what stays takes about 150 MB.
#
# usage: test-apiserver.sh build     make the server if the cache has none
#        test-apiserver.sh run       the tests; needs the test bundle (make test-bundle), builds nothing
#        test-apiserver.sh serve COMMAND...   runs COMMAND with the server's EGRESS_APISERVER_* in its environment
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/egress-gateway/apiserver
work=$cache/work
# A changed recipe makes a new server.
recipe=$(cat "$here"/build-library-server.sh "$here"/library-server/* | sha256sum | cut -c1-12)
entry=$cache/library-server_$recipe
# shellcheck source=archive.sh
. "$here/archive.sh"
# shellcheck source=build-library-server.sh
. "$here/build-library-server.sh"
# shellcheck source=serve.sh
. "$here/serve.sh"

entry_is_whole() { [ -x "$entry/library-server" ] && [ -x "$entry/etcd" ] && [ -s "$entry/version" ]; }

build() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock -w 3600 9 || fail "another build has held $cache/lock for an hour"
  if ! entry_is_whole; then
    local began=$SECONDS fresh=$cache/new.$recipe
    rm -rf "$fresh"
    mkdir -p "$fresh" "$work/home"
    build_library_server "$fresh"
    rm -rf "$entry"
    mv "$fresh" "$entry"
    # Servers of older recipes, and what only a build needs.
    find "$cache" -mindepth 1 -maxdepth 1 -type d -name 'library-server_*' ! -path "$entry" -exec rm -rf {} +
    rm -rf "$work"
    say "library server: built in $((SECONDS - began)) s; $(du -sh "$entry" | cut -f1) in $entry"
  fi
  # For egressctl, which does not know recipes.
  ln -sfn "$(basename "$entry")" "$cache/current"
  exec 9>&-
}

# Runs the suite once; adds to passed and failed.
suite() {
  local name=$1 log
  shift
  log=$(mktemp)
  say "suite against $name"
  (cd "$repository" && "$@" swift test --skip-build --no-parallel --filter '^APIServerTests') >"$log" 2>&1 </dev/null ||
    grep -E 'recorded an issue|error:' "$log" || true
  local passes fails skips
  passes=$(grep -cE '^. Test .* passed after' "$log" || true)
  fails=$(grep -cE '^. Test .* failed after' "$log" || true)
  skips=$(grep -cE '^. Test .* skipped' "$log" || true)
  say "suite against $name: $passes passed, $fails failed, $skips skipped"
  [ "$passes" -gt 0 ] || { tail -n 20 "$log" >&2; fails=$((fails + 1)); }
  passed=$((passed + passes)) failed=$((failed + fails))
  rm -f "$log"
}

run() {
  passed=0 failed=0
  suite "the embedded server" env
  suite "Kubernetes' libraries, $(cat "$entry/version")" serve
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

case "${1:-}" in
  build) build ;;
  run)
    entry_is_whole || fail "no server in $entry; run: $0 build"
    run
    ;;
  serve)
    shift
    entry_is_whole || fail "no server in $entry; run: $0 build"
    serve "$@"
    ;;
  *) fail "usage: $0 build|run|serve COMMAND" ;;
esac
