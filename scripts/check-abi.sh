#!/usr/bin/env bash
# Holds the plugin border's headers against the released baselines with abidiff.
# usage: check-abi.sh [HEADERS]           compare; HEADERS is Sources/ProviderAPI/include unless given
#        check-abi.sh --release VERSION   write scripts/abi/VERSION.abi, once, when VERSION is released
#
# The newest baseline must be equal to the headers: whoever adds to them releases a new minor version with a baseline
# of its own. Against an older baseline only what scripts/abi/VERSION.suppr accepts may differ: a libabigail suppression
# file, for example a member inserted at the end of egp_host, with the reason in a comment.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
baselines=$root/scripts/abi
headers=$root/Sources/ProviderAPI/include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One compiler and one debug format, so that a difference is one of the headers.
compile() {
  # Compiled by a relative name: the baseline names its source, and must not name this machine's folders.
  (cd "$root" && clang -std=c11 -gdwarf-4 -O0 -fPIC -shared -I "$1" -o "$work/libprobe.so" scripts/abi/probe.c)
}

if [ "${1:-}" = --release ]; then
  version=${2:?a version is needed, for example 1.1}
  if [ -e "$baselines/$version.abi" ]; then
    echo "abi: $version is released; a released baseline never changes" >&2
    exit 1
  fi
  compile "$headers"
  (cd "$work" && abidw --no-corpus-path --no-comp-dir-path --no-show-locs libprobe.so) >"$baselines/$version.abi"
  echo "abi: wrote $version.abi"
  exit 0
fi

compile "$(realpath "${1:-$headers}")"
newest=$(find "$baselines" -name '*.abi' -printf '%f\n' | sort -V | tail -n 1)
[ -n "$newest" ] || { echo "abi: there is no baseline in $baselines" >&2; exit 1; }
failed=0
while read -r baseline; do
  report=$work/report
  accepted=()
  suppressions=$baselines/${baseline%.abi}.suppr
  if [ "$baseline" != "$newest" ] && [ -e "$suppressions" ]; then accepted=(--suppr "$suppressions"); fi
  status=0
  abidiff --no-show-locs "${accepted[@]}" "$baselines/$baseline" "$work/libprobe.so" >"$report" || status=$?
  # Bits 0 and 1 of abidiff's status say that it could not compare at all.
  if [ $((status & 3)) -ne 0 ]; then
    cat "$report" >&2
    echo "abi: abidiff failed on $baseline" >&2
    exit 1
  fi
  if [ "$status" -ne 0 ]; then
    failed=1
    cat "$report"
    echo "abi: the headers differ from released version ${baseline%.abi}"
  fi
done < <(find "$baselines" -name '*.abi' -printf '%f\n' | sort -V)
[ "$failed" -eq 0 ] || exit 1
echo "abi: equal to version ${newest%.abi}"
