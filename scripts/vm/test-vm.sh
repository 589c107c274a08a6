#!/usr/bin/env bash
# Runs the tests of the WireGuard plugin and of LinuxNet in a guest whose kernel has WireGuard, whatever this machine's
# kernel has.
#
# usage: test-vm.sh fetch            install packages, download the kernel
#        test-vm.sh run PRODUCTS     run the tests that `swift build --build-tests` left in PRODUCTS
#
# EGRESS_VM_ACCELERATOR  auto (default), kvm or tcg
# EGRESS_VM_SECONDS      longest the guest may run, default 1800
# EGRESS_VM_PROVIDER_CHECK=skip  leaves out egress-provider-check on the plugin, which takes minutes where the guest is
#                        emulated
# XDG_CACHE_HOME         the kernel is kept below it in egress-gateway/vm; default ~/.cache
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/vm/common.sh
. "$scripts/common.sh"
# shellcheck source=scripts/vm/kernel.sh
. "$scripts/kernel.sh"
# shellcheck source=scripts/vm/image.sh
. "$scripts/image.sh"
# shellcheck source=scripts/vm/machine.sh
. "$scripts/machine.sh"

guest_seconds=${EGRESS_VM_SECONDS:-1800}

check_surroundings() {
  [ "$(id -u)" -eq 0 ] || fail "this needs root: it installs packages and looks at /dev/kvm"
  [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || fail "only Debian on amd64 is supported"
  [[ $guest_seconds =~ ^[1-9][0-9]*$ ]] ||
    fail "EGRESS_VM_SECONDS: \"$guest_seconds\" is not allowed; allowed: whole seconds above 0"
}

# The guest's figure $1, from report $2.
figure() { tr -d '\r' <"$2" | sed -n "s/^$1=//p" | tail -n 1; }

# What the guest did is read from its report in folder $1; $2 is QEMU's status. The last line printed has the counts.
conclude() {
  local work=$1 status tests failures skipped name check
  [ -e "$work/report" ] || : >"$work/report"
  status=$(figure status "$work/report")
  if [ -z "$status" ]; then
    tail -n 40 "$work/console.log" "$work/qemu.log" >&2 || true
    case $2 in
      124 | 137) fail "the guest was stopped after $guest_seconds s (EGRESS_VM_SECONDS)" ;;
      *) fail "the guest ended without a result (QEMU's status $2); its last messages are above" ;;
    esac
  fi
  tests=$(figure tests "$work/report") failures=$(figure failures "$work/report")
  skipped=$(figure skipped "$work/report")
  name="$(basename "$kernel_entry") on $machine_accelerator"
  [ "${tests:-0}" -gt 0 ] || fail "no test ran in the guest ($name)"
  check=$(figure provider_check "$work/report")
  say "$name, $SECONDS s: tests: $((tests - failures)) passed, $failures failed, $skipped skipped;" \
    "egress-provider-check: ${check:-skipped, as EGRESS_VM_PROVIDER_CHECK=skip is set}"
  [ "$status" = 0 ] && [ "$failures" = 0 ]
}

run_tests() {
  local products=$1 work status=0
  work=$(mktemp -d "${TMPDIR:-/tmp}/egress-vm.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  image_make "$work" "$products" "$scripts" >"$work/tests.cpio"
  cat "$kernel_entry/modules.cpio" "$work/tests.cpio" >"$work/initramfs"
  machine_choose "$kernel_entry/vmlinuz" "$work"
  say "booting with $machine_accelerator, $(du -m "$work/initramfs" | cut -f1) MiB of files, at most $guest_seconds s"
  machine_run "$kernel_entry/vmlinuz" "$work/initramfs" "$work" "$guest_seconds" || status=$?
  conclude "$work" "$status"
}

main() {
  check_surroundings
  case ${1:-} in
    fetch) [ $# -eq 1 ] ;;
    run) [ $# -eq 2 ] ;;
    *) false ;;
  esac || fail "usage: test-vm.sh fetch | test-vm.sh run PRODUCTS"
  [ "$1" = run ] || "$(dirname "$scripts")/install-packages.sh" vm
  kernel_prepare
  [ "$1" = fetch ] || run_tests "$2"
}

main "$@"
