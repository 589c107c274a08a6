# shellcheck shell=bash
# Builds library-server (Go, this folder) over Kubernetes' own API server libraries, as Debian unstable packages
# them. Sourced by server.sh, which sets $work and $here.

library_suite=sid

# build_library_server OUTPUT: leaves OUTPUT/{library-server,etcd,version}.
build_library_server() (
  local output=$1 root=$work/root-$library_suite compiler goroot path version models
  say "library server: updating the lists of suite $library_suite"
  archive_open "$library_suite"
  compiler=$(archive_depends "$library_suite" golang-go '^golang-[0-9.]+-go$')
  [ -n "$compiler" ] || fail "suite $library_suite has no golang-go"
  goroot=${compiler#golang-}
  goroot=$root/usr/lib/go-${goroot%-go}
  if [ ! -x "$goroot/bin/go" ]; then
    say "library server: downloading $compiler, etcd and $(wc -l <"$here/library-server/packages") libraries"
    # shellcheck disable=SC2046
    archive_unpack "$library_suite" "$root" "$compiler" "${compiler%-go}-src" etcd-server \
      $(cat "$here/library-server/packages")
  fi
  path=$work/gopath
  rm -rf "$path"
  mkdir -p "$path/src/library-server/models"
  cp "$here"/library-server/*.go "$path/src/library-server/"
  export GOROOT=$goroot HOME=$work/home GOCACHE=$work/go-cache
  export GOPATH=$path:$root/usr/share/gocode PATH=$goroot/bin:$PATH
  # The network and other tool chains stay out: all there is comes from the packages above.
  export GO111MODULE=off GOPROXY=off GOFLAGS= GOTOOLCHAIN=local CGO_ENABLED=0
  cd "$path/src/library-server"
  say "library server: generating the OpenAPI models of the built-in kinds"
  nice -n 10 go build -trimpath -o "$work/openapi-gen" k8s.io/kube-openapi/cmd/openapi-gen
  models=()
  for group in core apps batch coordination discovery events networking policy rbac scheduling authentication; do
    models+=("k8s.io/api/$group/v1")
  done
  for group in apis/meta/v1 api/resource runtime util/intstr version; do
    models+=("k8s.io/apimachinery/pkg/$group")
  done
  "$work/openapi-gen" --output-dir models --output-pkg library-server/models --output-file models.go \
    --go-header-file /dev/null --report-filename "$work/openapi.report" \
    "${models[@]}" k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1 >"$work/openapi.log" 2>&1 ||
    { tail -n 20 "$work/openapi.log" >&2; fail "openapi-gen failed"; }
  version=$(archive_apt "$library_suite" apt-cache show --no-all-versions golang-k8s-apiextensions-apiserver-dev |
    sed -n 's/^Version: 0\.\([0-9]*\.[0-9]*\).*/1.\1/p' | head -n 1)
  say "library server: compiling over the libraries of Kubernetes $version"
  nice -n 10 go build -trimpath -o "$output/library-server" -ldflags "-s -w \
    -X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=$(echo "$version" | cut -d. -f2)" library-server
  install -m 0755 "$root/usr/bin/etcd" "$output/etcd"
  echo "v$version" >"$output/version"
)
