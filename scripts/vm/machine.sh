# shellcheck shell=bash
# The machine that the guest runs on: QEMU, with KVM where that boots this kernel, else with its emulator. Sourced.

machine_memory_mib=1280
machine_processors=$(nproc)
[ "$machine_processors" -le 4 ] || machine_processors=4

# Runs QEMU. $1: kvm or tcg, $2: seconds until it is stopped, the rest: QEMU's further arguments.
# Nehalem: with -cpu max the emulator takes AVX paths that make packets several times slower.
machine_qemu() {
  local accelerator=(-accel kvm -cpu host) seconds=$2
  [ "$1" = kvm ] || accelerator=(-accel "tcg,thread=multi" -cpu Nehalem)
  shift 2
  timeout -k 5 "$seconds" qemu-system-x86_64 "${accelerator[@]}" -machine q35 -m "$machine_memory_mib" \
    -smp "$machine_processors" -nodefaults -no-user-config -display none -no-reboot "$@" </dev/null
}

# Whether KVM boots kernel $1; $2 is a folder for its console. There being a /dev/kvm does not mean that: on some
# virtual machines it is refused only in the middle of a boot, or is slower than emulation. Without a file system the
# kernel boots until it looks for one, panics, and ends the machine.
machine_kvm_boots() {
  [ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
  machine_qemu kvm 20 -kernel "$1" -append "console=ttyS0 panic=-1" -serial file:"$2/kvm.log" >/dev/null 2>&1 ||
    return 1
  grep -q 'Unable to mount root fs' "$2/kvm.log"
}

# Sets machine_accelerator: what EGRESS_VM_ACCELERATOR asks for, else KVM where it works. $1, $2: as above.
machine_choose() {
  machine_accelerator=${EGRESS_VM_ACCELERATOR:-auto}
  case $machine_accelerator in
    kvm | tcg) ;;
    auto)
      machine_accelerator=tcg
      ! machine_kvm_boots "$1" "$2" || machine_accelerator=kvm
      ;;
    *) fail "EGRESS_VM_ACCELERATOR: \"$machine_accelerator\" is not allowed; allowed: auto, kvm, tcg" ;;
  esac
}

# Boots kernel $1 with first file system $2, its serial lines to this process's output and to files in folder $3.
# Returns QEMU's status, 124 or 137 when it was stopped after $4 seconds.
# An emulated processor's clock drifts when the machine is busy: tsc=unstable makes the kernel take the timer chip's.
machine_run() {
  local clock=""
  [ "$machine_accelerator" = kvm ] || clock="tsc=unstable clocksource=hpet no_timer_check"
  machine_qemu "$machine_accelerator" "$4" -kernel "$1" -initrd "$2" -device virtio-rng-pci \
    -append "console=ttyS0 loglevel=4 panic=-1 mitigations=off $clock" \
    -serial file:"$3/console.log" -chardev stdio,id=out,signal=off -serial chardev:out \
    -serial file:"$3/report" 2>"$3/qemu.log"
}
