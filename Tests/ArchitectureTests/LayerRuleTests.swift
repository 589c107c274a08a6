import Foundation
import Testing

/// The layer rule of docs/architecture.md: which of our modules a module may import.
@Suite struct LayerRuleTests {
    /// Module -> our modules it may import. A module that is not a key here is not one of ours.
    static let allowed: [String: Set<String>] = [
        "ProviderAPI": [],
        "CLinuxShim": [],
        "JSONModel": [],
        // JSONModel has the schema engine: the kit names what is wrong with a request by the border's own schemas.
        "ProviderKit": ["JSONModel", "ProviderAPI"],
        "LinuxNet": ["CLinuxShim"],
        "Kubernetes": ["JSONModel"],
        "Reconcile": ["JSONModel", "Kubernetes"],
        "Host": ["ProviderAPI", "ProviderKit", "JSONModel", "LinuxNet", "Kubernetes", "Reconcile", "CLinuxShim"],
        "Lab": ["JSONModel", "LinuxNet", "Kubernetes", "Reconcile", "CLinuxShim"],
        "AzureARM": ["JSONModel", "ProviderKit"],
        "AzureLBProvider": ["JSONModel", "ProviderKit", "AzureARM"],
        "AzureLB": ["ProviderAPI", "ProviderKit", "AzureLBProvider"],
        "AzureVMSSProvider": ["JSONModel", "ProviderKit", "AzureARM"],
        "AzureVMSS": ["ProviderAPI", "ProviderKit", "AzureVMSSProvider"],
        "WireGuardProvider": ["JSONModel", "ProviderKit", "LinuxNet"],
        "WireGuard": ["ProviderAPI", "ProviderKit", "WireGuardProvider"],
        "VXLANProvider": ["JSONModel", "ProviderKit", "LinuxNet"],
        "VXLAN": ["ProviderAPI", "ProviderKit", "VXLANProvider"],
        "CNIChainProvider": ["JSONModel", "ProviderKit", "LinuxNet"],
        "CNIChain": ["ProviderAPI", "ProviderKit", "CNIChainProvider"],
        "MemoryTunnelProvider": ["ProviderKit"],
        "MemoryTunnel": ["ProviderAPI", "ProviderKit", "MemoryTunnelProvider"],
        "border-bench": ["Host", "MemoryTunnelProvider", "ProviderKit"],
        "CloudScenarios": [
            "AzureARM", "AzureLBProvider", "AzureVMSSProvider", "Host", "JSONModel", "Kubernetes", "Lab", "ProviderKit",
            "Reconcile",
        ],
        "cloud-bench": ["CloudScenarios"],
        "ProviderCheck": ["CLinuxShim", "JSONModel", "ProviderAPI", "ProviderKit"],
        "CDeterministicExecutor": [],
        "reconcile-sim": [
            "CDeterministicExecutor", "Host", "JSONModel", "Kubernetes", "LinuxNet", "ProviderKit", "Reconcile",
        ],
        "egress-host": ["Host"],
        "egress-provider-check": ["ProviderCheck"],
        "egressctl": ["Lab", "Host", "JSONModel", "Kubernetes", "Reconcile", "LinuxNet", "ProviderKit"],
        "kube-egress-cni": ["CLinuxShim"],
    ]

    /// Modules whose images must stay free of full Foundation (and so of ICU) and of NIO.
    static let lean = [
        "JSONModel", "ProviderKit", "LinuxNet", "AzureARM", "AzureLBProvider", "AzureLB", "AzureVMSSProvider",
        "AzureVMSS", "WireGuardProvider", "WireGuard", "VXLANProvider", "VXLAN", "CNIChainProvider",
        "CNIChain", "MemoryTunnelProvider", "MemoryTunnel", "border-bench", "kube-egress-cni",
    ]

    static func folder(_ module: String) -> URL {
        let root = Repository.root
        if module == "AzureARM" { return root.appending(path: "Plugins/AzureARM") }
        let benchmarks = root.appending(path: "Tests/Benchmarks")
        switch module {
        case "border-bench": return benchmarks.appending(path: "Border")
        case "CloudScenarios": return benchmarks.appending(path: "Cloud/Scenarios")
        case "cloud-bench": return benchmarks.appending(path: "Cloud/Bench")
        case "MemoryTunnel": return benchmarks.appending(path: "MemoryTunnel/Entry")
        case "MemoryTunnelProvider": return benchmarks.appending(path: "MemoryTunnel/Provider")
        default: break
        }
        for plugin in Repository.plugins {
            if module == plugin { return root.appending(path: "Plugins/\(plugin)/Entry") }
            if module == "\(plugin)Provider" { return root.appending(path: "Plugins/\(plugin)/Provider") }
        }
        return root.appending(path: "Sources/\(module)")
    }

    /// The modules a Swift file imports.
    static func imports(_ file: URL) throws -> [String] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard let index = words.firstIndex(of: "import"), words.prefix(index).allSatisfy(isImportModifier),
                words.count > index + 1
            else { return nil }
            return words[index + 1].split(separator: ".").first.map(String.init)
        }
    }

    private static func isImportModifier(_ word: String) -> Bool {
        word.hasPrefix("@") || ["public", "internal", "package", "fileprivate", "private"].contains(word)
    }

    @Test(arguments: allowed.keys.sorted())
    func modulesImportOnlyWhatTheLayersAllow(module: String) throws {
        let files = Repository.files(below: Self.folder(module), withExtension: "swift")
        // The others are C alone.
        if !["ProviderAPI", "CLinuxShim", "CDeterministicExecutor"].contains(module) { #expect(!files.isEmpty) }
        for file in files {
            for imported in try Self.imports(file) where Self.allowed.keys.contains(imported) {
                #expect(
                    Self.allowed[module, default: []].contains(imported),
                    "\(file.lastPathComponent) of \(module) imports \(imported)")
            }
        }
    }

    @Test(arguments: lean)
    func leanModulesImportNeitherFoundationNorNIO(module: String) throws {
        for file in Repository.files(below: Self.folder(module), withExtension: "swift") {
            for imported in try Self.imports(file) {
                #expect(imported != "Foundation" && !imported.hasPrefix("NIO"), "\(file.path) imports \(imported)")
            }
        }
    }

    @Test func everySourceFolderIsInTheTable() throws {
        let sources = Repository.root.appending(path: "Sources")
        for name in try FileManager.default.contentsOfDirectory(atPath: sources.path) where name != "System" {
            #expect(Self.allowed[name] != nil, "Sources/\(name) has no row in the layer table")
        }
    }
}
