#!/bin/bash
# The guest's first process: readies the machine, runs the tests, reports, and switches off.
#
# ttyS0 has the kernel's messages, ttyS1 what a person reads, ttyS2 the report: lines NAME=VALUE, the last of them
# status=N. A guest that dies has no status.
set -uo pipefail
export PATH=/usr/sbin:/usr/bin HOME=/root TMPDIR=/tmp NO_COLOR=1
# The tests then fail, not fall back, where the kernel does not carry a tunnel.
export EGRESS_EXPECT_KERNEL_WIREGUARD=1

ready_machine() {
  mount -t proc proc /proc
  mount -t sysfs sys /sys
  mount -t devtmpfs dev /dev
  mkdir -p /dev/net /dev/shm /run/netns
  ln -sf /proc/self/fd /dev/fd
  mount -t tmpfs shm /dev/shm
  mount -t tmpfs run /run
  [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
  modprobe -q virtio_pci
  modprobe -q virtio_rng
  ip link set lo up
}

report() { echo "$1=$2" >/dev/ttyS2; }

# One value of the XML report that Swift Testing writes. $1: its attribute.
test_figure() { sed -n "s/.*<testsuite name=\"TestResults\".* $1=\"\([0-9]*\)\".*/\1/p" /tmp/tests.xml | head -n 1; }

run_tests() {
  local status=0 figure value
  rm -f /tmp/tests.xml
  /egress/egress-gatewayPackageTests.xctest --testing-library swift-testing --no-parallel \
    --xunit-output /tmp/tests.xml --filter '^WireGuardTests\.' --filter '^LinuxNetTests\.' 2>&1 |
    grep --line-buffered -vE 'Test case passing| started\.$'
  status=${PIPESTATUS[0]}
  [ -s /tmp/tests.xml ] || { echo "guest: the tests ended without a report"; return 1; }
  for figure in tests failures skipped; do
    value=$(test_figure "$figure")
    [ -n "$value" ] || { echo "guest: the tests' report has no figure \"$figure\""; return 1; }
    report "$figure" "$value"
  done
  return "$status"
}

# The validator of plugins against the plugin as it is installed, with tunnels that can be made here.
check_provider() {
  local status counts
  ip netns add check-pod && ip netns add check-egress || return 1
  # An emulated machine takes several times as long, and longer while its host has other work.
  EGRESS_CHECK_PATIENCE=10 /egress/egress-provider-check /egress/libWireGuard.so --config /egress/provider-check.yaml 2>&1 | tee /tmp/check
  status=${PIPESTATUS[0]}
  counts=$(sed -nE 's/^([0-9]+ passed, [0-9]+ failed, [0-9]+ skipped)$/\1/p' /tmp/check | tail -n 1)
  [[ $counts =~ ^[1-9] ]] || { echo "guest: egress-provider-check passed no case"; return 1; }
  report provider_check "$counts"
  return "$status"
}

# The guest's own question: did anything fall back? wireguard-go needs the module tun, which nothing else
# here does, and the kernel loads a module when it is first asked for.
check_form() {
  local status=0
  [ -d /sys/module/wireguard ] || { echo "guest: the kernel's WireGuard was not used"; status=1; }
  [ ! -d /sys/module/tun ] || { echo "guest: a TUN device was made, as wireguard-go does"; status=1; }
  ! pgrep -x wireguard-go >/dev/null || { echo "guest: wireguard-go runs"; status=1; }
  return "$status"
}

run_all() {
  local status=0
  echo "guest: Linux $(uname -rm), $(nproc) processors, $(grep -oE '[0-9]+ kB' /proc/meminfo | head -n 1) of memory"
  run_tests || status=1
  if [ -e /egress/egress-provider-check ]; then check_provider || status=1; fi
  check_form || status=1
  return "$status"
}

ready_machine
run_all >/dev/ttyS1 2>&1 </dev/null
report status "$?"
# Switches off at once: there is nothing to save, and no other process to wait for.
echo b >/proc/sysrq-trigger
sleep 60
