import ProviderKit

/// The package that `plugins new` writes.
struct PluginTemplate {
    /// Name of the package, the product, the module and the plugin; checked by ``PluginName``.
    var name: String
    var kind: ProviderKind
    var sdk: PluginSDK

    /// Path below the package's folder, and text.
    var files: [(path: String, text: String)] {
        [
            (".gitignore", "/.build/\n"),
            ("Package.swift", packageManifest),
            ("README.md", readme),
            ("check.yaml", checkConfiguration),
            ("exports.map", "{ global: egp_provider_entry; local: *; };\n"),
            ("Sources/\(name)/Entry.swift", entry),
            ("Sources/\(name)/\(name).swift", provider),
        ]
    }

    private var provider: String {
        switch kind {
        case .loadBalancer: LoadBalancerTemplate.source(name)
        case .nodePool: NodePoolTemplate.source(name)
        case .tunnel: TunnelTemplate.source(name)
        case .podNetwork: PodNetworkTemplate.source(name)
        }
    }

    private var checkConfiguration: String {
        switch kind {
        case .loadBalancer: LoadBalancerTemplate.checkConfiguration
        case .nodePool: NodePoolTemplate.checkConfiguration
        case .tunnel: TunnelTemplate.checkConfiguration
        case .podNetwork: PodNetworkTemplate.checkConfiguration
        }
    }

    private var packageManifest: String {
        #"""
        // swift-tools-version: 6.3
        import PackageDescription

        let package = Package(
            name: "\#(name)",
            products: [.library(name: "\#(name)", type: .dynamic, targets: ["\#(name)"])],
            dependencies: [\#(sdk.dependency)],
            targets: [
                .target(
                    name: "\#(name)",
                    dependencies: [.product(name: "ProviderSDK", package: "\#(sdk.identity)")],
                    linkerSettings: [
                        .unsafeFlags([
                            // A plugin exports one symbol.
                            "-Xlinker", "--version-script=\(Context.packageDirectory)/exports.map",
                            // It is never unmapped, because Swift images cannot be.
                            "-Xlinker", "-z", "-Xlinker", "nodelete",
                            // It shares the Swift runtime of the host's install tree.
                            "-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../swift",
                        ])
                    ])
            ],
            swiftLanguageModes: [.v6]
        )

        """#
    }

    private var entry: String {
        // Not written as they will be: the test of the layers takes every line that begins so for this file's own.
        let imports = ["ProviderAPI", "ProviderKit"].map { "import \($0)" }.joined(separator: "\n")
        return """
            \(imports)

            /// The one symbol of the plugin, which the host asks for what there is.
            @c @implementation
            public func egp_provider_entry(
                _ hostMinimum: UInt32, _ hostMaximum: UInt32, _ out: UnsafeMutablePointer<egp_provider>
            ) -> egp_code {
                ProviderEntry.fill(out, hostMinimum, hostMaximum, with: \(name)Provider.self)
            }

            """
    }

    private var readme: String {
        """
        # \(name)

        A provider of `\(kind.rawValue)/1` that **keeps its state in memory only**: it answers as the contract asks, and makes
        nothing in the world. `Sources/\(name)/\(name).swift` is where that changes.

            swift build                                                                  # .build/debug/lib\(name).so
            egress-provider-check .build/debug/lib\(name).so --config check.yaml         # hold it to the contract
            swift build -c release && egressctl plugins manifest .build/release/lib\(name).so

        To run it, list the file in `host.yaml`; `docs/writing-a-provider.md` of egress-gateway has every step.

        """
    }
}
