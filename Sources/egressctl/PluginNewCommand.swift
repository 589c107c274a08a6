import ArgumentParser
import Foundation
import Host
import ProviderKit

extension PluginsCommand {
    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write a Swift package with a provider that builds and passes egress-provider-check.",
            discussion: """
                The provider keeps its state in memory only; what it is to manage is yours to write. See \
                docs/writing-a-provider.md.
                """)
        @Argument(help: "The plugin's name, such as MyTunnel: of package, product, module and descriptor.")
        var name: String
        @Option(help: "load-balancer, node-pool, tunnel or pod-network.") var kind: ProviderKind
        @Option(help: "The package's folder; absent or empty until now. Default: NAME in the working directory.")
        var output: String?
        @Option(
            help: """
                Path of a checkout of egress-gateway, or URL of its repository (branch main is used). Default: the \
                checkout that egressctl was built in.
                """)
        var sdk: String?

        func run() throws {
            try reporting {
                let sdk = try PluginSDK(sdk)
                try PluginName.check(name, sdk)
                let folder = PluginFolder(path: URL(filePath: output ?? name).standardizedFileURL.path)
                try folder.write(PluginTemplate(name: name, kind: kind, sdk: sdk).files)
                Console.say("\(folder.path): a \(kind.rawValue) provider that keeps its state in memory; see README.md")
            }
        }
    }
}

extension ProviderKind: ExpressibleByArgument {}
