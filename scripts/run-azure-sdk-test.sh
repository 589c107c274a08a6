#!/usr/bin/env bash
# Drives the Azure simulator with Microsoft's own SDK for Python, which is fetched from PyPI once and kept outside of the
# repository.
#
# usage: scripts/run-azure-sdk-test.sh EGRESSCTL
set -euo pipefail

egressctl=$(realpath "$1")
here=$(cd "$(dirname "$0")/.." && pwd)
requirements=$here/Tests/AzureSDK/requirements.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/egress-gateway/azure-sdk

if [ "${EGRESS_AZURE_SDK:-}" = skip ]; then
  echo 'azure-sdk: skipped, because EGRESS_AZURE_SDK=skip is set'
  exit 0
fi

# The folder counts as complete only with the list it was made from.
if ! cmp -s "$requirements" "$cache/requirements.txt"; then
  echo "azure-sdk: installing into $cache"
  rm -rf "$cache"
  mkdir -p "$(dirname "$cache")"
  log=$(mktemp)
  if ! { python3 -m venv "$cache" && "$cache/bin/pip" install --disable-pip-version-check --quiet --timeout 30 \
    --requirement "$requirements"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    rm -rf "$cache"
    echo 'azure-sdk: failed: the SDK could not be installed from PyPI; EGRESS_AZURE_SDK=skip leaves this test out' >&2
    exit 1
  fi
  rm -f "$log"
  cp "$requirements" "$cache/requirements.txt"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 300 "$cache/bin/python" "$here/Tests/AzureSDK/drive.py" "$egressctl" "$work" </dev/null
