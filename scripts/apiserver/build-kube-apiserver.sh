# shellcheck shell=bash
# Builds kube-apiserver and kube-controller-manager themselves, as Debian 12 packages their source: the whole tree of
# Kubernetes 1.20.2 with the libraries it was written with. Sourced by test-apiserver.sh, which sets $work.

kubernetes_suite=bookworm

# kubernetes_source ROOT: leaves the tree in $work/kubernetes. apt holds the description of the source to the archive's
# signature, and dpkg-source holds the files to the checksums in it.
kubernetes_source() {
  local root=$1 log=$work/kubernetes.log reflect=github.com/modern-go/reflect2
  rm -rf "$work/source" "$work/kubernetes"
  mkdir -p "$work/source"
  (
    cd "$work/source"
    archive_apt "$kubernetes_suite" apt-get -qq source --download-only kubernetes
    dpkg-source --extract kubernetes_*.dsc "$work/kubernetes"
  ) >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "the source of kubernetes from suite $kubernetes_suite failed"; }
  # reflect2 1.0.1 reads maps by a layout that Go 1.18 left: the first server-side apply would end the server.
  rm -rf "$work/kubernetes/vendor/$reflect"
  cp -r "$root/usr/share/gocode/src/$reflect" "$work/kubernetes/vendor/$reflect"
}

# build_kube_apiserver OUTPUT: leaves OUTPUT/{kube-apiserver,kube-controller-manager,etcd,version}.
build_kube_apiserver() (
  local output=$1 root=$work/root-$kubernetes_suite goroot version tool program log=$work/make.log
  for tool in dpkg-source make; do
    command -v "$tool" >/dev/null || fail "kube-apiserver: $tool is missing; run: scripts/install-packages.sh"
  done
  say "kube-apiserver: updating the lists of suite $kubernetes_suite"
  archive_open "$kubernetes_suite"
  goroot=$root/usr/lib/go-1.19
  say "kube-apiserver: downloading Go 1.19, etcd and the source of Kubernetes"
  # Kubernetes' makefiles want rsync.
  archive_unpack "$kubernetes_suite" "$root" golang-1.19-go golang-1.19-src etcd-server \
    golang-github-modern-go-reflect2-dev rsync libpopt0 libxxhash0
  kubernetes_source "$root"
  version=$(sed -n 's/^Version: .*really\([0-9.]*\)-.*/\1/p' "$work"/source/kubernetes_*.dsc | head -n 1)
  [ -n "$version" ] || fail "the source of kubernetes is of no known version"
  printf "%s='%s'\n" KUBE_GIT_COMMIT '' KUBE_GIT_TREE_STATE archive KUBE_GIT_VERSION "v$version" \
    KUBE_GIT_MAJOR 1 KUBE_GIT_MINOR "$(echo "$version" | cut -d. -f2)" >"$work/kubernetes.version"
  export GOROOT=$goroot HOME=$work/home GOCACHE=$work/go-cache PATH=$goroot/bin:$root/usr/bin:$PATH
  export KUBE_GIT_VERSION_FILE=$work/kubernetes.version
  LD_LIBRARY_PATH=$(echo "$root"/usr/lib/*-linux-gnu)
  # The network and other tool chains stay out: all there is comes from the packages above.
  export LD_LIBRARY_PATH GOPROXY=off GOFLAGS='' CGO_ENABLED=0
  say "kube-apiserver: generating code, and compiling Kubernetes $version"
  nice -n 10 make -C "$work/kubernetes" WHAT='cmd/kube-apiserver cmd/kube-controller-manager' >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; fail "kube-apiserver did not compile"; }
  for program in kube-apiserver kube-controller-manager; do
    install -m 0755 "$work/kubernetes/_output/bin/$program" "$output/$program"
  done
  install -m 0755 "$root/usr/bin/etcd" "$output/etcd"
  echo "v$version" >"$output/version"
)
