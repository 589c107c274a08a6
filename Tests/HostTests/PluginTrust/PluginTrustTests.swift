import Foundation
import JSONModel
import Logging
import ProviderAPI
import ProviderKit
import Testing

@testable import Host

/// Real files through the daemon's loader: what is refused is not mapped, and its constructor did not run.
@Suite struct PluginTrustTests {
    private func withFolder<R>(_ body: (TrustedFolder) throws -> R) throws -> R {
        let folder = try TrustedFolder()
        defer { folder.remove() }
        return try body(folder)
    }

    @Test func aFileWithItsManifestIsLoaded() throws {
        try withFolder { folder in
            try folder.writeManifest()
            #expect(try folder.refusal() == nil)
            #expect(folder.loads == 1)
        }
    }

    @Test func oneChangedByteIsRefused() throws {
        try withFolder { folder in
            try folder.writeManifest()
            let handle = try #require(FileHandle(forUpdatingAtPath: folder.plugin))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data([0]))
            try handle.close()
            let refusal = try #require(try folder.refusal())
            #expect(refusal.hasPrefix("plugin DIR/libTraced.so: has the SHA-256 "))
            #expect(refusal.contains(", its manifest says "))
            // The policy any takes it; the warning is in the verdict.
            let plugin = try PluginVerifier(policy: .init(level: .any), role: nil).verify(folder.plugin)
            #expect(plugin.verdict == .unverified)
            #expect(plugin.warnings.first?.contains("its manifest says") == true)
        }
    }

    @Test func withoutManifestOnlyTheLowestPolicyTakesIt() throws {
        try withFolder { folder in
            #expect(
                try folder.refusal()
                    == "plugin DIR/libTraced.so: has no manifest, which the trust policy digest asks for")
            let plugin = try PluginVerifier(policy: .init(level: .any), role: nil).verify(folder.plugin)
            #expect(plugin.warnings == ["has no manifest; the trust policy any lets it run unverified"])
            #expect(try folder.refusal(.init(level: .any)) == nil)
        }
    }

    @Test func garbledAndOversizedManifestsAreRefused() throws {
        try withFolder { folder in
            let file = URL(filePath: folder.manifest)
            try Data("{\"manifestVersion\": 1,".utf8).write(to: file)
            #expect(try folder.refusal() == "manifest DIR/Traced.plugin.json: is not JSON")
            try Data("[]".utf8).write(to: file)
            #expect(try folder.refusal() == "manifest DIR/Traced.plugin.json: is not a JSON object")
            try Data(repeating: UInt8(ascii: " "), count: (1 << 20) + 1).write(to: file)
            #expect(
                try folder.refusal()
                    == "manifest DIR/Traced.plugin.json: has 1048577 bytes; at most 1048576 are allowed")
        }
    }

    @Test(
        arguments: [
            ("file", "libOther.so", "plugin DIR/libTraced.so: its manifest is that of libOther.so"),
            (
                "abi", ["minimum": "1.1", "maximum": "2.0"],
                "plugin DIR/libTraced.so: its manifest says ABI versions 1.1 to 2.0; this host speaks 1.0"
            ),
            (
                "kind", "tunnel",
                "plugin DIR/libTraced.so: is of the kind tunnel; the role manager uses load-balancer, node-pool"
            ),
            ("manifestVersion", 2, "manifest DIR/Traced.plugin.json: manifestVersion is 2; allowed is 1"),
            (
                "signature", ["algorithm": "rsa", "keyID": "0011223344556677", "value": ""],
                "manifest DIR/Traced.plugin.json: signature.algorithm is \"rsa\"; allowed is ed25519"
            ),
        ] as [(String, JSONValue, String)])
    func aManifestThatDoesNotFitIsRefused(field: String, value: JSONValue, reason: String) throws {
        try withFolder { folder in
            var document = try folder.document()
            document[field] = value
            try folder.write(document)
            #expect(try folder.refusal(role: .manager) == reason)
        }
    }

    /// Told only after loading, because the file is what its manifest says.
    @Test(
        arguments: [
            ("name", "other", "calls its name \"traced\", its manifest says \"other\""),
            (
                "capabilities", ["load-balancer/1", "x.y/1"],
                "calls its capabilities \"load-balancer/1\", its manifest says \"load-balancer/1 x.y/1\""
            ),
            ("configurationSchema", [:], "has another configurationSchema than its manifest says"),
        ] as [(String, JSONValue, String)])
    func aManifestThatSaysSomethingElseThanThePluginIsRefused(
        field: String, value: JSONValue, reason: String
    ) throws {
        try withFolder { folder in
            var document = try folder.document()
            document[field] = value
            try folder.write(document)
            var loader = PluginLoader(policy: TrustPolicy(), role: nil, logger: Logger(label: "test"))
            #expect(throws: HostError(.plugin, "plugin \(folder.plugin): \(reason)")) {
                _ = try loader.load(folder.plugin)
            }
        }
    }

    // MARK: - Signatures

    @Test func theSignatureMustBeOfAKnownKey() throws {
        try withFolder { folder in
            let (good, other) = (try PluginSigningKey.generate(), try PluginSigningKey.generate())
            let policy = TrustPolicy(level: .signed, keys: [.init(name: "release", publicKey: good.publicKey)])
            try folder.writeManifest()
            #expect(
                try folder.refusal(policy)
                    == "plugin DIR/libTraced.so: has a manifest without signature, which the trust policy signed asks for"
            )
            try folder.writeManifest(signedBy: other)
            #expect(
                try folder.refusal(policy)
                    == "plugin DIR/libTraced.so: has a manifest signed with key \(other.publicKey.keyID); "
                    + "trust.keys has \(good.publicKey.keyID) (release)")
            try folder.writeManifest(signedBy: good)
            #expect(
                try PluginVerifier(policy: policy, role: nil).verify(folder.plugin).verdict == .signed(by: "release"))
            #expect(try folder.refusal(policy) == nil)
        }
    }

    @Test func aSignedManifestCannotBeChanged() throws {
        try withFolder { folder in
            let key = try PluginSigningKey.generate()
            let policy = TrustPolicy(level: .signed, keys: [.init(name: "release", publicKey: key.publicKey)])
            try folder.writeManifest(signedBy: key)
            let signed = try JSONValue(json: Data(contentsOf: URL(filePath: folder.manifest)))
            let refused =
                "plugin DIR/libTraced.so: has a manifest whose signature is not that of key \(key.publicKey.keyID) (release)"
            for (field, value) in [("version", "2"), ("unknownMember", 1)] as [(String, JSONValue)] {
                var changed = signed
                changed[field] = value
                try folder.write(changed)
                #expect(try folder.refusal(policy) == refused)
            }
            // Another file under the digest that was signed.
            try folder.write(signed)
            try folder.compile(name: "traced", to: folder.plugin, constructor: "(void)0; puts(\"other\");")
            #expect(try folder.refusal(policy)?.contains("has the SHA-256") == true)
        }
    }

    // MARK: - Owners, modes, links

    @Test(arguments: [(0o666, "everybody", "0666"), (0o664, "its group", "0664")])
    func filesThatOthersMayWriteAreRefused(mode: Int, who: String, digits: String) throws {
        try withFolder { folder in
            try folder.writeManifest()
            for (path, subject) in [
                (folder.plugin, "plugin DIR/libTraced.so: file DIR/libTraced.so"),
                (folder.manifest, "manifest DIR/Traced.plugin.json: file DIR/Traced.plugin.json"),
            ] {
                try folder.chmod(mode, path)
                let expected =
                    "\(subject) has owner \(getuid()) and mode \(digits): \(who) may write it; chmod go-w "
                    + path.replacing(folder.folder.path, with: "DIR")
                #expect(try folder.refusal() == expected)
                #expect(try folder.refusal(.init(level: .any)) == expected)
                try folder.chmod(0o644, path)
            }
            #expect(try folder.refusal() == nil)
        }
    }

    @Test func foldersThatOthersMayWriteAreRefused() throws {
        try withFolder { folder in
            let inner = folder.folder.appending(path: "inner")
            try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: false)
            try folder.writeManifest()
            for file in ["libTraced.so", "Traced.plugin.json"] {
                try FileManager.default.copyItem(
                    at: folder.folder.appending(path: file), to: inner.appending(path: file))
            }
            let path = inner.appending(path: "libTraced.so").path
            try folder.chmod(0o777, folder.folder.path)
            #expect(
                try folder.refusal(path: path)
                    == "plugin DIR/inner/libTraced.so: folder DIR has owner \(getuid()) and mode 0777: "
                    + "everybody may write it; chmod go-w DIR")
            try folder.chmod(0o1777, folder.folder.path)
            #expect(
                try folder.refusal(path: path)
                    == "plugin DIR/inner/libTraced.so: folder DIR has owner \(getuid()) and mode 1777: "
                    + "everybody may write it; put the plugin elsewhere, or use the trust policy any")
            #expect(try folder.refusal(.init(level: .any), path: path) == nil)
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root, to give files away"))
    func filesOfOthersAreRefusedUnlessTheyAreNamed() throws {
        try withFolder { folder in
            try folder.writeManifest()
            for (path, what) in [(folder.plugin, "file DIR/libTraced.so"), (folder.folder.path, "folder DIR")] {
                try #require(chown(path, 12_345, 0) == 0)
                let refusal = try #require(try folder.refusal())
                #expect(refusal.hasPrefix("plugin DIR/libTraced.so: \(what) has owner 12345 and mode 0755"))
                #expect(refusal.contains("; allowed owners are 0; chown -h root DIR"))
                #expect(
                    try PluginVerifier(policy: .init(owners: [12_345]), role: nil).verify(folder.plugin).verdict
                        == .digest)
                try #require(chown(path, 0, 0) == 0)
            }
        }
    }

    @Test func linksAreFollowedAndTheirFoldersChecked() throws {
        try withFolder { folder in
            try folder.writeManifest()
            let files = FileManager.default
            let link = folder.folder.appending(path: "libLink.so").path
            let open = folder.folder.appending(path: "open").path
            try files.createDirectory(atPath: open, withIntermediateDirectories: false)
            try folder.chmod(0o777, open)
            try files.createSymbolicLink(atPath: "\(open)/libTraced.so", withDestinationPath: "../libTraced.so")
            #expect(try folder.refusal(path: "\(open)/libTraced.so")?.contains("folder DIR/open has owner") == true)
            try files.createSymbolicLink(atPath: link, withDestinationPath: "libLink.so")
            #expect(
                try folder.refusal(path: link) == "plugin DIR/libLink.so: Too many levels of symbolic links")
            try files.removeItem(atPath: link)
            try files.createSymbolicLink(atPath: link, withDestinationPath: "./absent.so")
            #expect(try folder.refusal(path: link) == "plugin DIR/libLink.so: No such file or directory")
            try files.removeItem(atPath: link)
            // Out through an open folder and back again: its owner could have sent it anywhere.
            try files.createSymbolicLink(atPath: link, withDestinationPath: "open/libTraced.so")
            #expect(try folder.refusal(path: link)?.contains("folder DIR/open has owner") == true)
            try files.removeItem(atPath: link)
            try files.createSymbolicLink(atPath: link, withDestinationPath: "libTraced.so")
            #expect(try folder.refusal(path: link) == nil)
        }
    }

    @Test func aFIFOIsRefusedWithoutWaiting() throws {
        try withFolder { folder in
            let path = folder.folder.appending(path: "libPipe.so").path
            try #require(mkfifo(path, 0o644) == 0)
            #expect(try folder.refusal(path: path) == "plugin DIR/libPipe.so: is not a regular file")
            try FileManager.default.createSymbolicLink(atPath: folder.manifest, withDestinationPath: path)
            #expect(try folder.refusal() == "manifest DIR/Traced.plugin.json: is not a regular file")
        }
    }

    // MARK: - Between checking and loading

    @Test func aFileThatTakesTheOthersPlaceIsTold() throws {
        try withFolder { folder in
            try folder.writeManifest()
            let plugin = try PluginVerifier(policy: TrustPolicy(), role: nil).verify(folder.plugin)
            let other = folder.folder.appending(path: "other.so").path
            try folder.compile(name: "traced", to: other)
            try #require(rename(other, folder.plugin) == 0)
            let error = #expect(throws: HostError.self) { _ = try PluginImage(plugin) }
            #expect(error?.message.contains("what was loaded is not the file that was checked") == true)
        }
    }

    @Test func aFileThatIsWrittenToAfterItsCheckIsTold() throws {
        try withFolder { folder in
            try folder.writeManifest()
            let plugin = try PluginVerifier(policy: TrustPolicy(), role: nil).verify(folder.plugin)
            let handle = try #require(FileHandle(forUpdatingAtPath: folder.plugin))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data([0]))
            try handle.close()
            let error = #expect(throws: HostError.self) { _ = try PluginImage(plugin) }
            #expect(error?.message.contains("was changed while it was being checked") == true)
        }
    }

    @Test func twoEntriesOfOneFileAreOneImage() throws {
        try withFolder { folder in
            try folder.writeManifest()
            let link = folder.folder.appending(path: "libLink.so").path
            try #require(symlink("libTraced.so", link) == 0)
            let hard = folder.folder.appending(path: "libHard.so").path
            try #require(Glibc.link(folder.plugin, hard) == 0)
            var loader = PluginLoader(policy: TrustPolicy(), role: .manager, logger: Logger(label: "test"))
            let images = try [folder.plugin, link, hard].map { try loader.load($0) }
            #expect(folder.loads == 1)
            #expect(images.map(\.path) == [folder.plugin, link, hard])
            #expect(Set(images.map { unsafeBitCast($0.provider.create, to: UInt.self) }).count == 1)
        }
    }
}
