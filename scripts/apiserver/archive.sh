# shellcheck shell=bash
# Packages of Debian's suites, downloaded and unpacked beside the system, never installed. Sourced.
#
# Each suite has apt lists of its own below $work/apt, so that the machine's own sources and lists stay as they are.
# Signatures are checked with Debian's archive keyring, as for any other package.

archive_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Whoever sources this may say who speaks.
say() { echo "${speaker:-apiserver}: $*"; }

fail() {
  echo "${speaker:-apiserver}: $*" >&2
  exit 1
}

# Prints the address of Debian's archive as this machine's apt is configured.
archive_address() {
  apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 !~ /-/ {print $3; exit}'
}

# archive_apt SUITE TOOL ARGUMENTS...: runs a tool of apt on the lists of one suite, with no package installed.
archive_apt() {
  local folder=$work/apt/$1 tool=$2
  shift 2
  LC_ALL=C "$tool" -o Dir::Etc::sourcelist="$folder/list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::Lists="$folder/lists" -o Dir::State::status="$folder/status" -o Dir::Cache="$folder/cache" \
    -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# archive_open SUITE: brings the suite's lists up to date.
archive_open() {
  local suite=$1 folder=$work/apt/$1 address
  address=$(archive_address)
  [ -n "$address" ] || fail "apt's sources name no Debian archive (apt-get indextargets)"
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
  : >"$folder/status"
  printf '%s [signed-by=%s] %s %s main\n' deb "$archive_keyring" "$address" "$suite" \
    deb-src "$archive_keyring" "$address" "$suite" >"$folder/list"
  archive_apt "$suite" apt-get -qq update >"$folder/log" 2>&1 ||
    { cat "$folder/log" >&2; fail "apt-get update of suite $suite failed; the first build of the server needs the network"; }
}

# archive_unpack SUITE ROOT PACKAGES...: downloads the packages and unpacks them below ROOT.
archive_unpack() {
  local suite=$1 root=$2 folder=$work/debs/$1 package
  shift 2
  rm -rf "$folder"
  mkdir -p "$root" "$folder"
  (cd "$folder" && archive_apt "$suite" apt-get -qq download "$@" >log 2>&1) ||
    { cat "$folder/log" >&2; fail "apt-get download from suite $suite failed; the first build of the server needs the network"; }
  for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$root"; done
  rm -rf "$folder"
}

# archive_depends SUITE PACKAGE PATTERN: the first package that PACKAGE depends on and that matches PATTERN.
archive_depends() {
  archive_apt "$1" apt-cache depends "$2" | awk -v pattern="$3" '$1 == "Depends:" && $2 ~ pattern {print $2; exit}'
}
