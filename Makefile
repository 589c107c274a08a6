# Everything a person runs. `make demo` and `make test` do all set-up themselves.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

CONFIGURATION ?= debug
TREE := $(CURDIR)/build
PRODUCTS := $(CURDIR)/.build/$(CONFIGURATION)
SWIFT_SOURCES := Package.swift SDK/Package.swift Sources Plugins Tests

# The CNI executable is static and opens no shared object; the linker cannot know.
WITHOUT_LINKER_NOTE := { grep -v "Using 'dlopen' in statically linked applications" || true; }

.PHONY: help setup build demo demo-apiserver demo-down test apiserver test-apiserver test-chart test-vm test-bundle \
  unit-test azure-sdk-test end-to-end-test provider-check bench lint format clean

help:
	@echo 'make demo       set up, build, and show a pod leaving with its gateway'"'"'s fixed IP (root)'
	@echo 'make test       set up, build, and run every test (root)'
	@echo 'make provider-check  hold all plugins, and a zoo of broken ones, to the plugin contract (root)'
	@echo 'make test-apiserver  hold the embedded API server, Kubernetes'"'"' own libraries, and kube-apiserver 1.20 to the'
	@echo '                same tests; the first time it builds the last two (docs/api-server.md)'
	@echo 'make demo-apiserver  the demo on Kubernetes'"'"' own libraries over etcd (root; APISERVER=1.20: on kube-apiserver)'
	@echo 'make test-chart      hold the Helm chart and its rendered manifests together, with Helm'"'"'s engine'
	@echo 'make test-vm    run the tests of WireGuard and LinuxNet against a Debian kernel in QEMU (root)'
	@echo 'make bench      measure plugin calls, the cost of gateways in the cloud, and client-go beside us, against limits'
	@echo 'make build      leave a relocatable install tree in build/ (CONFIGURATION=release for a lean one)'
	@echo 'make demo-down  remove what a kept or interrupted demo left'
	@echo 'make lint       check the format of all Swift sources; make format applies it'
	@echo 'make clean      remove build products'

setup:
	@scripts/install-packages.sh

build: setup
	@echo 'build: compiling ($(CONFIGURATION)); a first build takes some minutes'
	@swift build -c $(CONFIGURATION) --quiet 2>&1 | $(WITHOUT_LINKER_NOTE)
	@scripts/stage-install-tree.sh $(PRODUCTS) $(TREE)

require-root:
	@[ "$$(id -u)" -eq 0 ] || { echo 'this needs root: it makes network namespaces and links' >&2; exit 1; }

demo: require-root build
	@$(TREE)/bin/egressctl demo

# The same demo on Kubernetes' own libraries over etcd, or on kube-apiserver (APISERVER=1.20).
APISERVER ?= real
demo-apiserver: require-root build
	@scripts/apiserver/test-apiserver.sh build $(if $(filter 1.20,$(APISERVER)),kube-apiserver,library-server)
	@$(TREE)/bin/egressctl demo --apiserver $(APISERVER)

demo-down: require-root
	@if [ -x $(TREE)/bin/egressctl ]; then $(TREE)/bin/egressctl lab down; else echo 'nothing was built, so nothing runs'; fi

test: require-root setup lint build unit-test azure-sdk-test end-to-end-test
	@echo "make test: all passed$${EGRESS_AZURE_SDK:+ (the Azure SDK was left out)}"

# Debug builds only: a release build cannot reach the internals that tests look at. One test at a time: many of them
# watch packets and clocks.
unit-test: test-bundle
	@EGRESS_INSTALL_TREE=$(TREE) swift test --skip-build --no-parallel --skip '^EndToEndTests'

test-bundle:
	@swift build --build-tests --quiet 2>&1 | $(WITHOUT_LINKER_NOTE)

# What it needs from the network first: a build of minutes is no time to learn that there is none.
test-vm: require-root
	@scripts/vm/test-vm.sh fetch
	@$(MAKE) --no-print-directory test-bundle
	@scripts/vm/test-vm.sh run $(CURDIR)/.build/debug

# Where the cache below ~/.cache has no server yet, it is built first: that needs Debian's archive over the network,
# about six minutes of processor time and 2.2 GB of disk while it lasts. Later runs need none of these.
apiserver: setup
	@scripts/apiserver/test-apiserver.sh build

test-apiserver: apiserver
	@$(MAKE) --no-print-directory test-bundle
	@scripts/apiserver/test-apiserver.sh run

test-chart:
	@scripts/deploy/render-manifests.sh --check

# Microsoft's SDK for Python against the simulator; EGRESS_AZURE_SDK=skip leaves it out where PyPI is out of reach.
azure-sdk-test:
	@scripts/run-azure-sdk-test.sh $(TREE)/bin/egressctl

# The validator over all plugins, and over plugins that are broken on purpose; part of unit-test. Prints the counts.
provider-check: require-root setup
	@swift build --build-tests --quiet 2>&1 | $(WITHOUT_LINKER_NOTE)
	@swift test --skip-build --no-parallel --filter '^ProviderCheckTests'

end-to-end-test:
	@EGRESS_INSTALL_TREE=$(TREE) swift test --skip-build --no-parallel --filter '^EndToEndTests'

# Release, because a debug build costs many times as much, and not in proportion. Figures: docs/benchmarks.md.
bench: setup
	@echo 'bench: compiling (release); a first build takes some minutes'
	@for product in egress-host AzureLB AzureVMSS MemoryTunnel border-bench cloud-bench kubernetes-bench; do \
	  swift build -c release --quiet --product $$product; \
	done
	@.build/release/border-bench
	@.build/release/cloud-bench
	@peers=$$(scripts/bench/build-peers.sh | tail -n 1) && .build/release/kubernetes-bench "$$peers"

lint:
	@swift format lint --strict --recursive --parallel $(SWIFT_SOURCES) && echo 'lint: clean'

format:
	@swift format format --in-place --recursive --parallel $(SWIFT_SOURCES)

clean:
	rm -rf .build $(TREE)
