// swift-tools-version: 6.3
import PackageDescription

// Every target of ours is compiled the same way: a warning stops the build.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// A plugin exports one symbol, is never unmapped (Swift images cannot be), and finds the one shared Swift runtime
// of the install tree relative to itself.
let pluginLinking: [LinkerSetting] = [
    .unsafeFlags([
        "-Xlinker", "--version-script=\(Context.packageDirectory)/Plugins/exports.map",
        "-Xlinker", "-z", "-Xlinker", "nodelete",
        "-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../swift",
    ])
]

// Executables find the Swift runtime of the install tree relative to themselves.
let executableLinking: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../lib/swift"])
]

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let asyncHTTPClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdHTTP2: Target.Dependency = .product(name: "HummingbirdHTTP2", package: "hummingbird")
let hummingbirdTLS: Target.Dependency = .product(name: "HummingbirdTLS", package: "hummingbird")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let serviceLifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let metrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let nioCore: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOFoundationCompat", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
]

/// A C library of the system, described by its pkg-config file and Debian package.
func systemLibrary(_ name: String, pkgConfig: String, debianPackage: String) -> Target {
    .systemLibrary(
        name: name, path: "Sources/System/\(name)", pkgConfig: pkgConfig, providers: [.apt([debianPackage])])
}

/// A plugin is two targets: the provider (ordinary Swift, tested directly) and the entry (one file, the exported
/// symbol), so that a test binary may link many providers without a duplicate symbol.
func plugin(_ name: String, dependencies: [Target.Dependency], in folder: String = "Plugins") -> [Target] {
    [
        .target(
            name: "\(name)Provider", dependencies: ["ProviderKit"] + dependencies,
            path: "\(folder)/\(name)/Provider", swiftSettings: strict),
        .target(
            name: name, dependencies: ["ProviderAPI", "ProviderKit", .byName(name: "\(name)Provider")],
            path: "\(folder)/\(name)/Entry", swiftSettings: strict, linkerSettings: pluginLinking),
    ]
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let testTargets: [Target] = [
    .target(
        name: "AzureTestSupport", dependencies: ["JSONModel", "Lab", "ProviderKit", logging],
        path: "Tests/AzureTestSupport", swiftSettings: strict),
    .target(name: "ScriptedServer", path: "Tests/ScriptedServer", swiftSettings: strict),
    tests("APIServerTests", ["JSONModel", "Kubernetes", "Lab", "Reconcile", logging] + nioCore),
    tests("ArchitectureTests", []),
    tests(
        "AzureARMTests",
        [
            "AzureARM", "AzureLBProvider", "AzureTestSupport", "AzureVMSSProvider", "JSONModel", "Lab", "ProviderKit",
        ]),
    tests(
        "AzureLBTests", ["AzureARM", "AzureLBProvider", "AzureTestSupport", "JSONModel", "Lab", "ProviderKit"]),
    tests("AzureSimulatorTests", ["AzureTestSupport", "JSONModel", "Lab"]),
    tests(
        "AzureVMSSTests",
        [
            "AzureARM", "AzureLBProvider", "AzureVMSSProvider", "AzureTestSupport", "JSONModel", "Lab", "ProviderKit",
        ]),
    tests(
        "CloudScenarioTests", ["CloudScenarios", "JSONModel", "Kubernetes", "Lab", "ProviderKit", "Reconcile"]),
    tests("CNIChainTests", ["CNIChainProvider", "JSONModel", "LinuxNet", "ProviderKit"]),
    tests("DeployTests", ["Host", yams]),
    tests("EndToEndTests", ["JSONModel", "Kubernetes", "Lab", "LinuxNet", "Reconcile", logging]),
    tests("FabricTests", ["Lab", "LinuxNet", logging]),
    tests(
        "HostTests",
        [
            "AzureTestSupport", "Host", "JSONModel", "Kubernetes", "Lab", "LinuxNet", "ProviderAPI", "ProviderKit",
            "Reconcile", asyncHTTPClient, logging, metrics, yams,
        ] + nioCore),
    tests("InstallTreeTests", []),
    tests("JSONModelTests", ["JSONModel"]),
    tests("KubeEgressCNITests", []),
    tests(
        "KubernetesTests",
        [
            "JSONModel", "Kubernetes", "ScriptedServer", asyncHTTPClient, hummingbird, hummingbirdHTTP2, logging,
        ] + nioCore),
    tests("LabRuntimeTests", ["Kubernetes", "Lab", "LinuxNet", logging]),
    tests("LinuxNetTests", ["CLinuxShim", "CMnl", "LinuxNet"]),
    tests("PluginTemplateTests", []),
    tests("ProviderKitTests", ["JSONModel", "ProviderAPI", "ProviderKit"]),
    // The zoo is C that tests compile, one plugin at a time.
    .testTarget(
        name: "ProviderCheckTests",
        dependencies: [
            "AzureARM", "AzureLBProvider", "AzureTestSupport", "JSONModel", "LinuxNet", "ProviderCheck", "ProviderKit",
        ],
        exclude: ["Zoo"],
        swiftSettings: strict),
    tests("ReconcileTests", ["JSONModel", "Kubernetes", "Reconcile", "ScriptedServer", logging, metrics]),
    .testTarget(name: "ReconcileSimulationTests", exclude: ["Scripts"], swiftSettings: strict),
    tests("SystemLibraryTests", ["CFFI", "CMnl", "CNFTables", "COpenSSL", "CSodium"]),
    tests("VXLANTests", ["CMnl", "LinuxNet", "ProviderKit", "VXLANProvider", "WireGuardProvider"]),
    tests("WireGuardTests", ["CLinuxShim", "CMnl", "JSONModel", "LinuxNet", "ProviderKit", "WireGuardProvider"]),
]

// What `make bench` runs: the measuring program, and a provider that does next to nothing in both of its forms.
let benchmarkTargets: [Target] =
    plugin("MemoryTunnel", dependencies: [], in: "Tests/Benchmarks") + [
        .executableTarget(
            name: "border-bench", dependencies: ["Host", "MemoryTunnelProvider", "ProviderKit", logging],
            path: "Tests/Benchmarks/Border", swiftSettings: strict),
        .target(
            name: "CloudScenarios",
            dependencies: [
                "AzureARM", "AzureLBProvider", "AzureVMSSProvider", "Host", "JSONModel", "Kubernetes", "Lab",
                "ProviderKit", "Reconcile", logging, yams,
            ], path: "Tests/Benchmarks/Cloud/Scenarios", swiftSettings: strict),
        .executableTarget(
            name: "cloud-bench", dependencies: ["CloudScenarios"], path: "Tests/Benchmarks/Cloud/Bench",
            swiftSettings: strict),
        .executableTarget(
            name: "kubernetes-bench",
            dependencies: ["JSONModel", "Kubernetes", "Lab", "Reconcile", asyncHTTPClient, logging, yams] + nioCore,
            path: "Tests/Benchmarks/Kubernetes", swiftSettings: strict),
    ]

let pluginNames = ["AzureLB", "AzureVMSS", "WireGuard", "VXLAN", "CNIChain"]

let package = Package(
    name: "egress-gateway",
    products: [
        .executable(name: "egress-host", targets: ["egress-host"]),
        .executable(name: "egressctl", targets: ["egressctl"]),
        .executable(name: "egress-provider-check", targets: ["egress-provider-check"]),
        .executable(name: "kube-egress-cni", targets: ["kube-egress-cni"]),
        // For authors of plugins in packages of their own; docs/writing-a-provider.md. SDK/Package.swift has the same
        // product for who has a checkout.
        .library(name: "ProviderSDK", type: .static, targets: ["JSONModel", "ProviderAPI", "ProviderKit"]),
    ] + (pluginNames + ["MemoryTunnel"]).map { .library(name: $0, type: .dynamic, targets: [$0]) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        systemLibrary("CMnl", pkgConfig: "libmnl", debianPackage: "libmnl-dev"),
        systemLibrary("CNFTables", pkgConfig: "libnftables", debianPackage: "libnftables-dev"),
        systemLibrary("CSodium", pkgConfig: "libsodium", debianPackage: "libsodium-dev"),
        systemLibrary("CFFI", pkgConfig: "libffi", debianPackage: "libffi-dev"),
        systemLibrary("COpenSSL", pkgConfig: "libcrypto", debianPackage: "libssl-dev"),

        .target(name: "CLinuxShim", cSettings: [.define("_GNU_SOURCE")]),
        .target(name: "JSONModel", swiftSettings: strict),
        // schemas.c embeds the schemas itself.
        .target(name: "ProviderAPI", exclude: ["schemas"]),
        .target(name: "ProviderKit", dependencies: ["JSONModel", "ProviderAPI"], swiftSettings: strict),
        .target(
            name: "LinuxNet", dependencies: ["CLinuxShim", "CMnl", "CNFTables", "CSodium"], swiftSettings: strict),
        .target(
            name: "Kubernetes", dependencies: ["JSONModel", asyncHTTPClient, logging, metrics, yams] + nioCore,
            swiftSettings: strict),
        .target(
            name: "Reconcile", dependencies: ["JSONModel", "Kubernetes", logging, metrics], swiftSettings: strict),
        .target(
            name: "Host",
            dependencies: [
                "CFFI", "CSodium", "ProviderAPI", "ProviderKit", "JSONModel", "LinuxNet", "Kubernetes", "Reconcile",
                "CLinuxShim", asyncHTTPClient, hummingbird, logging, metrics, serviceLifecycle, unixSignals, yams,
            ] + nioCore, swiftSettings: strict),
        .target(
            name: "Lab",
            dependencies: [
                "JSONModel", "LinuxNet", "Kubernetes", "Reconcile", "CLinuxShim", "COpenSSL", asyncHTTPClient,
                hummingbird, hummingbirdTLS, logging, serviceLifecycle, yams,
                .product(name: "GRDB", package: "GRDB.swift"),
            ] + nioCore, swiftSettings: strict),

        .target(
            name: "AzureARM", dependencies: ["COpenSSL", "JSONModel", "ProviderKit"], path: "Plugins/AzureARM",
            swiftSettings: strict),

        .executableTarget(
            name: "egress-host", dependencies: ["Host", argumentParser, logging], swiftSettings: strict,
            linkerSettings: executableLinking),
        .executableTarget(
            name: "egressctl",
            dependencies: [
                "JSONModel", "Lab", "Host", "Kubernetes", "ProviderKit", argumentParser, asyncHTTPClient, logging,
            ] + nioCore, swiftSettings: strict, linkerSettings: executableLinking),
        // Runs the manager's code in simulated worlds; its C part takes the place of Swift's executor.
        .target(name: "CDeterministicExecutor"),
        .executableTarget(
            name: "reconcile-sim",
            dependencies: [
                "CDeterministicExecutor", "Host", "JSONModel", "Kubernetes", "LinuxNet", "ProviderKit", "Reconcile",
                argumentParser, logging,
            ] + nioCore, swiftSettings: strict),
        .target(
            name: "ProviderCheck",
            dependencies: ["CLinuxShim", "JSONModel", "ProviderAPI", "ProviderKit", asyncHTTPClient, yams] + nioCore,
            swiftSettings: strict),
        .executableTarget(
            name: "egress-provider-check", dependencies: ["ProviderCheck", argumentParser], swiftSettings: strict,
            linkerSettings: executableLinking),
        .executableTarget(
            name: "kube-egress-cni", dependencies: ["CLinuxShim"], swiftSettings: strict,
            linkerSettings: [.unsafeFlags(["-static-executable", "-Xlinker", "--gc-sections"])]),
    ]
        + plugin("AzureLB", dependencies: ["AzureARM", "JSONModel"])
        + plugin("AzureVMSS", dependencies: ["AzureARM", "JSONModel"])
        + plugin("WireGuard", dependencies: ["JSONModel", "LinuxNet"])
        + plugin("VXLAN", dependencies: ["CMnl", "CSodium", "JSONModel", "LinuxNet"])
        + plugin("CNIChain", dependencies: ["JSONModel", "LinuxNet"])
        + testTargets + benchmarkTargets,
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)
