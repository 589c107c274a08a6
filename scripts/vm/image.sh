# shellcheck shell=bash
# The guest's file system: programs of this machine with the libraries they load, the Swift runtime, and the built
# tests, in one archive that the kernel unpacks into memory. Nothing of the machine itself is visible in the guest.
# Sourced.

# From packages that are on every Debian machine, and from those that scripts/install-packages.sh brings: the guest's
# own few commands, and what the tests call. wireguard-go is there so that the tests show that nobody starts it.
image_programs=(
  sh bash cat chmod dd env find grep head kill ls mkdir mknod mount nproc rm sed seq sleep sort sync tail tee touch
  tr true false umount uname wc kmod ip ss nft wg ping sysctl ps pgrep wireguard-go
)
# Names and numbers that those programs read.
image_files=(/etc/iproute2 /usr/share/iproute2 /etc/protocols /etc/services /etc/nsswitch.conf)

# Prints the absolute paths of the libraries that programs $@ load.
image_libraries() {
  local listing
  listing=$(ldd "$@") || fail "ldd failed"
  if grep -q 'not found' <<<"$listing"; then
    grep 'not found' <<<"$listing" | sort -u >&2
    fail "a program for the guest lacks libraries on this machine"
  fi
  awk '$2 == "=>" {print $3} $1 ~ /^\// && $1 !~ /:$/ {print $1}' <<<"$listing" | sort -u
}

# Makes folder $1 what a Debian machine's / looks like, with nothing in it.
image_skeleton() {
  mkdir -p "$1"/{dev,etc,proc,root,run,sys,tmp,var,egress,usr/bin,usr/sbin,usr/lib,usr/lib64}
  ln -s usr/bin usr/lib usr/lib64 usr/sbin "$1/"
  ln -s ../run "$1/var/run"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
  echo 'root:x:0:' >"$1/etc/group"
  echo '127.0.0.1 localhost' >"$1/etc/hosts"
  echo guest >"$1/etc/hostname"
}

# Copies the files $2... into folder $1 under their own paths; links become what they point to.
image_copy() {
  local root=$1 file
  shift
  for file; do
    mkdir -p "$root$(dirname "$file")"
    [ -e "$root$file" ] || cp -L "$file" "$root$file"
  done
}

# Prints the guest's archive. $1: folder for intermediate files, $2: the folder of Swift's products, $3: this folder.
image_make() {
  local root=$1/root products=$2 scripts=$3 name path programs=() file listing libraries
  local built=("$products/egress-gatewayPackageTests.xctest" "$products/libWireGuard.so")
  [ "${EGRESS_VM_PROVIDER_CHECK:-}" = skip ] || built+=("$products/egress-provider-check")
  image_skeleton "$root"
  for name in "${image_programs[@]}"; do
    path=$(type -P "$name") || fail "no program $name on this machine; run scripts/install-packages.sh vm"
    programs+=("$path")
  done
  image_copy "$root" "${programs[@]}"
  ln -s "$(type -P kmod)" "$root/usr/sbin/modprobe"
  for file in "${built[@]}"; do
    [ -e "$file" ] || fail "no $file; build with: swift build --build-tests"
    # Debug information would triple what the guest has to unpack.
    strip --strip-debug -o "$root/egress/$(basename "$file")" "$file"
  done
  listing=$(image_libraries "${programs[@]}" "${built[@]}")
  mapfile -t libraries <<<"$listing"
  image_copy "$root" "${libraries[@]}"
  for file in "${image_files[@]}"; do
    [ ! -e "$file" ] || cp -rL --parents "$file" "$root/"
  done
  install -m 0755 "$scripts/guest.sh" "$root/init"
  install -m 0644 "$scripts/provider-check.yaml" "$root/egress/"
  archive "$root"
}
