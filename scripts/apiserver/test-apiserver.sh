#!/usr/bin/env bash
# Runs the API server tests against the embedded server, against one made of Kubernetes' own libraries over etcd, and
# against kube-apiserver itself (1.20), and ends with a line "N passed, N failed".
#
# library-server and its etcd come from Debian unstable, kube-apiserver and its own from Debian 12, by the archive that
# apt is configured for; they are built once, kept below ${XDG_CACHE_HOME:-~/.cache}/egress-gateway/apiserver, and never
# installed. docs/api-server.md says what that costs.
#
# usage: test-apiserver.sh build [SERVER...]      make the servers that the cache lacks; all, if none is named
#        test-apiserver.sh run                    the tests; needs the test bundle (make test-bundle), builds nothing
#        test-apiserver.sh serve SERVER COMMAND...   runs COMMAND with the server's EGRESS_APISERVER_* set
#        SERVER: library-server or kube-apiserver
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/egress-gateway/apiserver
servers=(library-server kube-apiserver)
# shellcheck source=archive.sh
. "$here/archive.sh"
# shellcheck source=build-library-server.sh
. "$here/build-library-server.sh"
# shellcheck source=build-kube-apiserver.sh
. "$here/build-kube-apiserver.sh"
# shellcheck source=serve.sh
. "$here/serve.sh"

# entry_of SERVER: where it lies in the cache. A changed recipe makes a new server.
entry_of() {
  local recipe
  case $1 in
    library-server) recipe=$(cat "$here"/build-library-server.sh "$here"/library-server/* | sha256sum) ;;
    kube-apiserver) recipe=$(sha256sum <"$here/build-kube-apiserver.sh") ;;
    *) fail "no server \"$1\"; there are: ${servers[*]}" ;;
  esac
  echo "$cache/$1_${recipe:0:12}"
}

# entry_is_whole SERVER ENTRY
entry_is_whole() { [ -x "$2/$1" ] && [ -x "$2/etcd" ] && [ -s "$2/version" ]; }

# whole_entry SERVER: its entry, if it can be used.
whole_entry() {
  local entry
  entry=$(entry_of "$1")
  entry_is_whole "$1" "$entry" || fail "no server in $entry; run: $0 build $1"
  echo "$entry"
}

# build SERVER
build() {
  local entry began=$SECONDS fresh=$cache/new.$1
  entry=$(entry_of "$1")
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock -w 3600 9 || fail "another build has held $cache/lock for an hour"
  if ! entry_is_whole "$1" "$entry"; then
    work=$cache/work-$1
    rm -rf "$fresh"
    mkdir -p "$fresh" "$work/home"
    "build_${1//-/_}" "$fresh"
    rm -rf "$entry"
    mv "$fresh" "$entry"
    # Servers of older recipes, and what only a build needs.
    find "$cache" -mindepth 1 -maxdepth 1 -type d -name "$1_*" ! -path "$entry" -exec rm -rf {} +
    rm -rf "$work"
    say "$1: built in $((SECONDS - began)) s; $(du -sh "$entry" | cut -f1) in $entry"
  fi
  # For egressctl, which does not know recipes.
  ln -sfn "$(basename "$entry")" "$cache/$1"
  exec 9>&-
}

# suite NAME COMMAND...: runs the suite once, by the command; adds to passed and failed.
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
  local server entries=()
  passed=0 failed=0
  for server in "${servers[@]}"; do entries+=("$(whole_entry "$server")"); done
  suite "the embedded server" env
  for server in "${servers[@]}"; do
    suite "$server $(cat "${entries[0]}/version")" serve "$server" "${entries[0]}"
    entries=("${entries[@]:1}")
  done
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

case "${1:-}" in
  build)
    shift
    [ $# -gt 0 ] || set -- "${servers[@]}"
    for server in "$@"; do build "$server"; done
    ;;
  run) run ;;
  serve)
    shift
    [ $# -ge 2 ] || fail "usage: $0 serve SERVER COMMAND"
    entry=$(whole_entry "$1")
    serve "$1" "$entry" "${@:2}"
    ;;
  *) fail "usage: $0 build [SERVER...]|run|serve SERVER COMMAND" ;;
esac
