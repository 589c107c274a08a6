# shellcheck shell=bash
# What all parts of the guest run share. Sourced.

say() { echo "test-vm: $*"; }

fail() {
  echo "test-vm: $*" >&2
  exit 1
}

# Prints folder $1 as an archive that the kernel unpacks as its first file system: parents before their children.
archive() { (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet); }
