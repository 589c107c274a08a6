#!/usr/bin/env bash
# Copies what `swift build` made into a tree that runs anywhere on the same Debian release, toolchain or not:
#   bin/          egress-host, egressctl, egress-provider-check, kube-egress-cni
#   lib/plugins/  the provider plugins, each with its manifest, signed if EGRESS_SIGNING_KEY names a key file
#   lib/swift/    the one Swift runtime that host and plugins share
#   share/        CRDs and examples
# usage: stage-install-tree.sh PRODUCTS TREE
set -euo pipefail

products=$1
tree=$2
runtime=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")/lib/swift/linux

# The trust policy refuses what others than the owner may write.
umask 022
rm -rf "$tree/bin" "$tree/lib" "$tree/share"
mkdir -p "$tree/bin" "$tree/lib/plugins" "$tree/lib/swift" "$tree/share"

for program in egress-host egressctl egress-provider-check kube-egress-cni; do
  install -m 0755 "$products/$program" "$tree/bin/$program"
done
for plugin in AzureLB AzureVMSS WireGuard VXLAN CNIChain; do
  install -m 0755 "$products/lib$plugin.so" "$tree/lib/plugins/lib$plugin.so"
done
# Debug information stays with the build; what is installed is what is run.
strip --strip-debug "$tree"/bin/* "$tree"/lib/plugins/*.so

# The run path of the build names the toolchain; the tree must find its own runtime first and only.
chrpath -r '$ORIGIN/../lib/swift' "$tree"/bin/{egress-host,egressctl,egress-provider-check} >/dev/null
for plugin in "$tree"/lib/plugins/*.so; do
  chrpath -r '$ORIGIN/../swift' "$plugin" >/dev/null
done

# The runtime libraries needed, and those that they need.
needed_libraries() { readelf -d "$@" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u; }
pending=$(needed_libraries "$tree"/bin/{egress-host,egressctl,egress-provider-check} "$tree"/lib/plugins/*.so)
while [ -n "$pending" ]; do
  next=""
  for library in $pending; do
    if [ -e "$runtime/$library" ] && [ ! -e "$tree/lib/swift/$library" ]; then
      install -m 0755 "$runtime/$library" "$tree/lib/swift/$library"
      strip --strip-debug "$tree/lib/swift/$library"
      next="$next $(needed_libraries "$runtime/$library")"
    fi
  done
  pending=$next
done

# Last, because it holds the digest of the files as they are now.
signing=()
if [ -n "${EGRESS_SIGNING_KEY:-}" ]; then signing=(--sign "$EGRESS_SIGNING_KEY"); fi
for plugin in "$tree"/lib/plugins/*.so; do
  "$tree/bin/egressctl" plugins manifest "$plugin" "${signing[@]}"
done
chmod go-w "$tree" "$tree/bin" "$tree/lib" "$tree/lib/plugins" "$tree/lib/swift"

cp -r deploy/crds deploy/examples "$tree/share/"
echo "install tree: $tree ($(du -sh "$tree/bin" "$tree/lib" | awk '{print $1, $2}' | xargs))"
