#!/usr/bin/env bash
# Renders deploy/helm/kube-egress-gateway with Helm's own engine (helm-python-sdk of PyPI, in an environment kept below
# ${XDG_CACHE_HOME:-~/.cache}/egress-gateway/helm) into deploy/manifests/kube-egress-gateway.yaml.
#
# usage: render-manifests.sh           write the manifests
#        render-manifests.sh --check   fail where they differ from the chart, or Helm finds fault with it, or a value of
#                                      upstream's chart is not taken; prints "N passed, N failed"
#        render-manifests.sh --digest  print the digest of the chart's files
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
chart=$repository/deploy/helm/kube-egress-gateway
manifests=$repository/deploy/manifests/kube-egress-gateway.yaml
namespace=kube-egress-gateway-system
cache=${XDG_CACHE_HOME:-$HOME/.cache}/egress-gateway/helm

# The chart's files; the manifests name the digest, so that a test without Helm sees which of them came later.
digest() {
  (cd "$chart" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1)
}

if [ "${1:-}" = --digest ]; then
  digest
  exit 0
fi

# The environment counts as complete only with the list it was made from.
if ! cmp -s "$here/requirements.txt" "$cache/requirements.txt"; then
  echo "chart: installing Helm's engine into $cache"
  rm -rf "$cache"
  mkdir -p "$(dirname "$cache")"
  log=$(mktemp)
  if ! { python3 -m venv "$cache" && "$cache/bin/pip" install --disable-pip-version-check --quiet --timeout 30 \
    --requirement "$here/requirements.txt"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -rf "$log" "$cache"
    echo 'chart: Helm'"'"'s engine could not be installed from PyPI' >&2
    exit 1
  fi
  rm -f "$log"
  cp "$here/requirements.txt" "$cache/requirements.txt"
fi

engine() { timeout 120 "$cache/bin/python" "$here/render.py" "$chart" "$namespace" "$@" </dev/null 2>"$work/notes"; }

render() {
  cat <<TEXT
# Rendered by scripts/deploy/render-manifests.sh from the Helm chart, with its own values; do not edit.
# chart: $(digest)
---
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
TEXT
  engine
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "${1:-}" != --check ]; then
  render >"$work/manifests"
  mkdir -p "$(dirname "$manifests")"
  mv "$work/manifests" "$manifests"
  echo "chart: wrote $manifests"
  exit 0
fi

passed=0 failed=0
ok() { passed=$((passed + 1)); }
wrong() {
  failed=$((failed + 1))
  echo "chart: $1" >&2
}

# takes VALUES TEXT: rendered with these values, the manifests hold the text.
takes() {
  echo "$1" >"$work/values"
  engine --values "$work/values" >"$work/rendered" || { cat "$work/notes" >&2; wrong "$1 cannot be rendered"; return; }
  if grep -qF -- "$2" "$work/rendered"; then ok; else wrong "with $1 the manifests lack: $2"; fi
}

# refuses VALUES TEXT: such values are an error that says the text.
refuses() {
  echo "$1" >"$work/values"
  if engine --values "$work/values" >"$work/rendered"; then wrong "$1 is not refused"; return; fi
  if grep -qF -- "$2" "$work/notes"; then ok; else cat "$work/notes" >&2; wrong "the refusal of $1 lacks: $2"; fi
}

render >"$work/manifests"
if diff -u "$manifests" "$work/manifests" >&2; then ok; else wrong "the manifests are not those of the chart"; fi
if engine --lint >"$work/lint"; then ok; else cat "$work/lint" >&2; wrong "Helm finds fault with the chart"; fi
takes '{"common":{"imageRepository":"r.example/x","imageTag":"v1"}}' 'image: r.example/x/kube-egress-gateway-controller:v1'
takes '{"gatewayControllerManager":{"imageRepository":"r.example/y","imageTag":"v2"}}' \
  'image: r.example/y/kube-egress-gateway-controller:v2'
takes '{"gatewayCNI":{"imageTag":"v3"}}' 'image: local/kube-egress-gateway-cni:v3'
takes '{"common":{"gatewayLbProbePort":8099}}' 'gatewayProbePort: 8099'
takes '{"gatewayControllerManager":{"replicas":1,"leaderElect":"false"}}' 'leaderElection: false'
takes '{"gatewayControllerManager":{"healthProbeBindPort":9091}}' 'readyz, port: 9091'
takes '{"gatewayControllerManager":{"nodeSelector":{"pool":"system"}}}' 'pool: system'
takes '{"gatewayDaemonManager":{"metricsBindPort":9092}}' 'metricsPort: 9092'
takes '{"gatewayCNIManager":{"exceptionCidrs":["10.0.0.0/8"]}}' 'exceptionCIDRs: ["10.0.0.0/8"]'
takes '{"gatewayCNIManager":{"cniUninstall":true}}' 'uninstall: "true"'
takes '{"gatewayCNIManager":{"cniUninstallConfigMapName":"other"}}' 'name: other, optional: true'
takes '{"gatewayCNIManager":{"tolerations":[{"key":"mine","operator":"Exists"}]}}' 'key: mine'
takes '{"config":{"azureCloudConfig":{"vnetName":"a-network"}}}' '\"vnetName\":\"a-network\"'
takes '{"tunnel":"vxlan"}' 'path: libVXLAN.so'
refuses '{"tunnel":"gre"}' 'allowed are wireguard, vxlan'
refuses '{"gatewayControllerManager":{"leaderElect":"false"}}' 'replicas is more than 1'
refuses '{"gatewayCNIManager":{"cniConfigFileName":"02-x.conflist"}}' 'allowed is 01-egressgateway.conflist'
echo "{\"gatewayControllerManager\":{\"enabled\":false},\"gatewayDaemonManager\":{\"enabled\":false}}" >"$work/values"
if engine --values "$work/values" >"$work/rendered" && ! grep -q 'kind: Deployment' "$work/rendered"; then ok; else
  wrong "enabled: false leaves the component in"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
