# shellcheck shell=bash
# The kernel that the guest boots: Debian's cloud kernel, downloaded and unpacked, never installed. Sourced.
#
# Kept as <cache>/<package>_<version>_<recipe>/{vmlinuz,modules.cpio}, about 40 MB; <recipe> is this file's checksum,
# so that a changed recipe makes new files. The two entries used last stay.

kernel_meta_package=linux-image-cloud-amd64
kernel_cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/egress-gateway/vm
kernel_entries_kept=2
kernel_recipe=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-12)

# Modules that the tests may make the guest's kernel load; the others stay out.
kernel_modules='/kernel/(arch|crypto|lib|net)/'
kernel_modules+='|/kernel/drivers/(net/[^/]*$|net/(wireguard|vxlan|ipvlan)/|virtio/|char/hw_random/)'

# Prints the name and the version of the newest kernel package that apt's lists know; nothing if they know none.
kernel_candidate() {
  local package version
  package=$(apt-cache depends "$kernel_meta_package" 2>/dev/null |
    awk '$1 == "Depends:" && /linux-image/ {print $2; exit}')
  [ -n "$package" ] || return 0
  version=$(apt-cache policy "$package" | awk '$1 == "Candidate:" {print $2}')
  [ -n "$version" ] && [ "$version" != "(none)" ] || return 0
  echo "$package $version"
}

kernel_entry_is_whole() { [ -s "$1/vmlinuz" ] && [ -s "$1/modules.cpio" ]; }

# Prints the entries of this recipe, the one used last first.
kernel_entries() {
  find "$kernel_cache" -mindepth 1 -maxdepth 1 -type d -name "linux-image-*_$kernel_recipe" -printf '%T@ %p\n' |
    sort -rn | cut -d' ' -f2-
}

# Removes all but the entries used last, and what an interrupted download left.
kernel_prune() {
  local entry
  find "$kernel_cache" -mindepth 1 -maxdepth 1 -type d -name 'linux-image-*' -printf '%T@ %p\n' | sort -rn |
    cut -d' ' -f2- | tail -n "+$((kernel_entries_kept + 1))" | while read -r entry; do rm -rf "$entry"; done
  find "$kernel_cache" -mindepth 1 -maxdepth 1 -type d -name 'new.*' -exec rm -rf {} +
}

# Sets kernel_entry to a folder with a kernel and its modules, after downloading them if need be.
# The lists of packages are brought up to date only where they name no kernel, or one that is no longer to be had:
# a second run needs no network.
kernel_prepare() {
  local candidate
  mkdir -p "$kernel_cache"
  exec 9>"$kernel_cache/lock"
  flock -w 900 9 || fail "another run has held $kernel_cache/lock for 15 minutes"
  candidate=$(kernel_candidate)
  kernel_entry=""
  if [ -n "$candidate" ]; then
    kernel_entry=$kernel_cache/${candidate% *}_${candidate#* }_$kernel_recipe
  else
    kernel_entry=$(kernel_entries | head -n 1)
  fi
  if [ -n "$kernel_entry" ] && kernel_entry_is_whole "$kernel_entry"; then
    say "kernel: $(basename "$kernel_entry") (from $kernel_cache)"
  else
    kernel_fetch "$candidate"
  fi
  touch "$kernel_entry"
  kernel_prune
  exec 9>&-
}

# Sets kernel_entry. $1: what apt's lists name, or nothing.
kernel_fetch() {
  local candidate=$1 work
  work=$(mktemp -d "$kernel_cache/new.XXXXXX")
  if [ -z "$candidate" ] || ! kernel_download "$candidate" "$work"; then
    say "kernel: updating apt's lists"
    apt-get -q update >"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; fail "apt-get update failed"; }
    candidate=$(kernel_candidate)
    [ -n "$candidate" ] || fail "no package $kernel_meta_package in apt's lists"
    kernel_download "$candidate" "$work" ||
      { cat "$work/apt.log" >&2; fail "apt-get download ${candidate% *}=${candidate#* } failed"; }
  fi
  kernel_unpack "$work"
  kernel_entry=$kernel_cache/${candidate% *}_${candidate#* }_$kernel_recipe
  rm -rf "$kernel_entry"
  mv "$work/entry" "$kernel_entry"
  rm -rf "$work"
}

# apt checks the package against the archive's signature.
kernel_download() {
  say "kernel: downloading ${1% *} ${1#* }"
  (cd "$2" && apt-get -q -o APT::Sandbox::User=root download "${1% *}=${1#* }" >apt.log 2>&1)
}

# Makes $1/entry of the package in $1.
kernel_unpack() {
  local work=$1 release
  dpkg-deb -x "$work"/*.deb "$work/unpacked"
  release=$(basename "$(echo "$work"/unpacked/lib/modules/*)")
  [ -e "$work/unpacked/boot/vmlinuz-$release" ] || fail "the kernel package has no boot/vmlinuz-$release"
  find "$work/unpacked/lib/modules" -name '*.ko*' | { grep -vE "$kernel_modules" || true; } | xargs -r rm
  find "$work/unpacked/lib/modules" -type d -empty -delete
  depmod -b "$work/unpacked" "$release"
  mkdir -p "$work/entry" "$work/tree/usr"
  # /lib is a link to usr/lib in the guest, as on every Debian machine.
  mv "$work/unpacked/lib" "$work/tree/usr/lib"
  archive "$work/tree" >"$work/entry/modules.cpio"
  install -m 0644 "$work/unpacked/boot/vmlinuz-$release" "$work/entry/vmlinuz"
}
