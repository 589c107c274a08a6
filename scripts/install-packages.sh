#!/usr/bin/env bash
# Installs the Debian packages the build, the lab and the tests need, and only those that are missing.
# usage: install-packages.sh [vm]    vm: also what `make test-vm` needs
set -euo pipefail

packages=(
  # build: C libraries and tools
  pkg-config libmnl-dev libnftables-dev libsodium-dev libffi-dev libssl-dev libsqlite3-dev binutils chrpath
  # lab: tunnel, CNI plugins, internet host, namespaces
  wireguard-go containernetworking-plugins nginx-light iproute2 util-linux procps
  # tests: independent observers; the README's way to ask the internet host
  wireguard-tools nftables iputils-ping curl abigail-tools
  # tests: the Azure SDK for Python and keys for its sign-ins
  python3-venv openssl
  # tests: kube-apiserver from its source package
  dpkg-dev make
)
case "${1:-}" in
  '') ;;
  vm) packages+=(qemu-system-x86 kmod cpio) ;;
  *)
    echo "packages: no group \"$1\"; allowed: vm" >&2
    exit 1
    ;;
esac

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
# kubectl may also come from another vendor's package.
command -v kubectl >/dev/null || missing+=(kubernetes-client)

if [ "${#missing[@]}" -eq 0 ]; then
  echo "packages: all present"
else
  if [ "$(id -u)" -ne 0 ]; then
    echo "packages: missing ${missing[*]}; run this as root, or install them with apt-get" >&2
    exit 1
  fi
  echo "packages: missing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # The lab runs an nginx of its own: Debian's policy hook keeps the package's service from being started.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  apt() {
    LC_ALL=C apt-get "$@" >"$log" 2>&1 || {
      cat "$log" >&2
      rm -f "$log"
      echo "packages: apt-get $1 failed" >&2
      exit 1
    }
  }
  apt update
  # What apt-get is about to do, with what those packages need: name, version, and the version that it replaces.
  apt install --simulate -y --no-install-recommends "${missing[@]}"
  sed -nE 's/^Inst ([^ ]+) (\[([^]]+)\] )?\(([^ ]+) .*/packages: installing \1 \4 \3/p' "$log" |
    sed -E 's/ $//; s/^(packages: installing [^ ]+ [^ ]+) (.+)$/\1 in place of \2/'
  apt install -y --no-install-recommends "${missing[@]}"
  rm -f "$log"
fi

if ! command -v swift >/dev/null; then
  echo "swift: not found; install the Swift 6.3 toolchain for Debian 12 and put it on the PATH" >&2
  exit 1
fi
version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
case "$version" in
  6.[3-9] | 6.[1-9][0-9]) echo "swift: $version" ;;
  *)
    echo "swift: version ${version:-unknown} found; 6.3 or later is needed" >&2
    exit 1
    ;;
esac
