import Foundation
import JSONModel
import Testing

@testable import Host

/// The commands of `egressctl plugins` that make and judge manifests.
@Suite struct PluginTrustCommandTests {
    private func egressctl(_ arguments: String...) throws -> RunResult {
        let products = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        return try run(products.appending(path: "egressctl").path, ["plugins"] + arguments)
    }

    @Test func aManifestIsWrittenSignedAndJudged() throws {
        let folder = try TrustedFolder(constructor: #"puts("noise");"#)
        defer { folder.remove() }
        let name = folder.folder.appending(path: "release").path
        let keygen = try egressctl("keygen", name)
        #expect(keygen.status == 0, "\(keygen.error)")
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(name).key")
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let again = try egressctl("keygen", name)
        #expect(again.status == 1 && again.error == "egressctl: \(name).key: cannot be made: File exists\n")

        let config = folder.folder.appending(path: "host.yaml").path
        try Data("role: manager\n\(keygen.output)".utf8).write(to: URL(filePath: config))
        let unsigned = try egressctl("manifest", folder.plugin)
        #expect(unsigned.status == 0 && unsigned.output.isEmpty, "\(unsigned.error)")
        #expect(try egressctl("verify", folder.plugin).output == "\(folder.plugin): digest ok\n")
        let refused = try egressctl("verify", folder.plugin, "--config", config)
        #expect(refused.status == 1 && refused.error.contains("has a manifest without signature"))

        let signed = try egressctl("manifest", folder.plugin, "--sign", "\(name).key")
        #expect(signed.status == 0, "\(signed.error)")
        #expect(
            try egressctl("verify", folder.plugin, "--config", config).output
                == "\(folder.plugin): signed by release\n")
        let manifest = try PluginManifest(parsing: Data(contentsOf: URL(filePath: folder.manifest)))
        #expect(manifest.abi == ABIVersion(1, 0)...ABIVersion(1, 0) && manifest.name == "traced")
        // Nothing of it was loaded here.
        #expect(try !folder.isMapped())
    }

    @Test(arguments: [
        ("abort();", "ended the process that loaded it with signal 6"),
        ("_Exit(7);", "ended the process that loaded it with status 7"),
    ])
    func aBrokenPluginCostsTheChildOnly(constructor: String, reason: String) throws {
        let folder = try TrustedFolder(constructor: constructor)
        defer { folder.remove() }
        let result = try egressctl("manifest", folder.plugin)
        #expect(result.status == 1)
        #expect(result.error.contains("egressctl: plugin \(folder.plugin): \(reason)"), "\(result.error)")
        #expect(!FileManager.default.fileExists(atPath: folder.manifest))
    }

    @Test func aKeyThatOthersMayReadIsRefused() throws {
        let folder = try TrustedFolder()
        defer { folder.remove() }
        let name = folder.folder.appending(path: "release").path
        _ = try egressctl("keygen", name)
        try folder.chmod(0o640, "\(name).key")
        let result = try egressctl("manifest", folder.plugin, "--sign", "\(name).key")
        #expect(result.status == 1)
        #expect(result.error.contains("must be a file that only its owner may read, chmod 600 \(name).key"))
    }
}
