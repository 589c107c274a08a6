import Foundation
import JSONModel
import Logging
import ProviderKit
import Testing

@testable import Host

@Suite struct PluginManifestTests {
    static let good: JSONValue = [
        "manifestVersion": 1, "name": "X", "version": "1.2", "kind": "tunnel", "file": "libX.so",
        "abi": ["minimum": "1.0", "maximum": "1.10"], "capabilities": ["tunnel/1"],
        "configurationSchema": ["type": "object"], "sha256": .string(String(repeating: "a0", count: 32)),
    ]

    @Test func allFieldsAreRead() throws {
        let manifest = try PluginManifest(parsing: Self.good.json())
        #expect(manifest.name == "X" && manifest.version == "1.2" && manifest.kind == .tunnel)
        #expect(manifest.abi == ABIVersion(1, 0)...ABIVersion(1, 10))
        #expect(manifest.abi.contains(ABIVersion(1, 9)) && !manifest.abi.contains(ABIVersion(2, 0)))
        #expect(manifest.capabilities == ["tunnel/1"] && manifest.signature == nil)
        #expect(manifest.configurationSchema == ["type": "object"])
    }

    @Test(
        arguments: [
            ("name", nil, "name is missing"), ("name", "", "name is \"\"; allowed is a text of 1 to 64 characters"),
            ("version", "a\nb", "version is \"ab\"; allowed is a text"),
            ("kind", "cloud", "kind is \"cloud\"; allowed are load-balancer, node-pool, tunnel, pod-network"),
            ("file", "../libX.so", "file is \"../libX.so\"; allowed is the name of a .so"),
            ("abi", ["minimum": "1", "maximum": "1.0"], "abi.minimum must be a version such as \"1.0\""),
            ("abi", ["minimum": "1.0", "maximum": "1.00"], "abi.maximum must be a version"),
            ("abi", ["minimum": "1.1", "maximum": "1.0"], "abi.minimum is 1.1, above abi.maximum, which is 1.0"),
            ("capabilities", [1], "capabilities must be a list of at most 64 texts"),
            ("configurationSchema", true, "configurationSchema must be an object, not a boolean"),
            ("sha256", "A0", "sha256 must be 64 lower-case hexadecimal digits"),
            (
                "signature", ["algorithm": "ed25519", "keyID": "00", "value": "AA=="],
                "signature.value must be base64 of 64"
            ),
            ("manifestVersion", "1", "manifestVersion is \"1\"; allowed is 1"),
        ] as [(String, JSONValue?, String)])
    func aMistakeIsNamed(field: String, value: JSONValue?, message: String) throws {
        var document = Self.good
        document[field] = value
        let text = try document.json()
        let error = #expect(throws: HostError.self) { try PluginManifest(parsing: text) }
        #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
    }

    @Test(
        arguments: [
            ("/a/libX.so", "/a/X.plugin.json"), ("X.so", "X.plugin.json"), ("/a.b/lib.so", "/a.b/lib.plugin.json"),
            ("/a/libX.so.1", nil), ("/a/.so", nil), ("", nil),
        ] as [(String, String?)])
    func theManifestLiesBesideTheFile(file: String, manifest: String?) {
        #expect(PluginManifest.path(forPlugin: file) == manifest)
    }

    /// RFC 8785 section 3.2.3 (its sorting example, without the numbers).
    @Test func canonicalJSONIsThatOfTheRFC() throws {
        let value: JSONValue = [
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "o with diaeresis",
        ]
        let expected =
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"\u{f6}\":\"o with diaeresis\","
            + "\"\u{20ac}\":\"Euro Sign\",\"\u{1f600}\":\"Emoji: Grinning Face\","
            + "\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
        #expect(String(decoding: try CanonicalJSON.bytes(value), as: UTF8.self) == expected)
        let other: JSONValue = ["a": [.null, true, -3, "\u{1}\"\\/\u{8}\t\n\u{c}"], "b": [:]]
        #expect(
            String(decoding: try CanonicalJSON.bytes(other), as: UTF8.self)
                == "{\"a\":[null,true,-3,\"\\u0001\\\"\\\\/\\b\\t\\n\\f\"],\"b\":{}}")
        #expect(throws: HostError.self) { try CanonicalJSON.bytes(["a": .number(0.5)]) }
        #expect(throws: HostError.self) { try CanonicalJSON.bytes(["a": .integer(1 << 54)]) }
    }

    /// The published border says the same as this reader, of what it writes.
    @Test func aSignedManifestFitsThePublishedSchema() throws {
        let signed = try PluginManifest(parsing: Self.good.json()).signed(by: .generate())
        let file = ExampleProvider.root.appending(path: "Sources/ProviderAPI/schemas/provider-manifest.schema.json")
        let schema = try JSONSchema(compiling: JSONValue(json: Data(contentsOf: file)))
        #expect(schema.mistakes(in: try JSONValue(json: signed.text())) == [])
        #expect(try PluginManifest(parsing: signed.text()) == signed)
    }

    /// Somebody else's implementation of Ed25519 and of the key file agrees.
    @Test func opensslVerifiesASignature() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kegwt-keys-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let key = try PluginSigningKey.generate()
        let signed = try PluginManifest(parsing: Self.good.json()).signed(by: key)
        func path(_ name: String) -> String { folder.appending(path: name).path }
        try Data(key.pem.utf8).write(to: URL(filePath: path("key")))
        try Data(signed.signedBytes()).write(to: URL(filePath: path("message")))
        try Data(try #require(signed.signature).value).write(to: URL(filePath: path("signature")))
        let result = try run(
            "/usr/bin/env",
            [
                "openssl", "pkeyutl", "-verify", "-rawin", "-inkey", path("key"), "-in", path("message"), "-sigfile",
                path("signature"),
            ])
        #expect(result.status == 0, "\(result.output)\(result.error)")
        #expect(try PluginSigningKey(pem: key.pem).publicKey == key.publicKey)
        #expect(throws: HostError.self) { try PluginSigningKey(pem: key.pem.replacing("MC4", with: "MC5")) }
    }

    // MARK: - host.yaml

    @Test func theDefaultPolicyIsDigest() throws {
        #expect(try HostConfiguration.parse("role: manager", name: "h").trust == TrustPolicy(level: .digest))
    }

    @Test func thePolicyIsRead() throws {
        let key = try PluginSigningKey.generate().publicKey
        let text = """
            role: manager
            trust:
              policy: signed
              owners: [1000]
              keys:
                - { id: release, publicKey: \(key.base64) }
            """
        let trust = try HostConfiguration.parse(text, name: "h").trust
        #expect(trust == TrustPolicy(level: .signed, keys: [.init(name: "release", publicKey: key)], owners: [1000]))
    }

    @Test func mistakesOfThePolicyHaveTheirLines() throws {
        let text = """
            role: manager
            trust:
              policy: signed
              colour: red
              owners: [alice]
              keys:
                - id: short
                  publicKey: AAAA
                - publicKey: x
            """
        let error = #expect(throws: HostError.self) { try HostConfiguration.parse(text, name: "h") }
        let lines = error?.message.split(separator: "\n").map(String.init) ?? []
        let key = "h: line 8: trust.keys[0].publicKey is \"AAAA\"; allowed is base64 of 32 bytes"
        #expect(lines.contains { $0.hasPrefix("h: line 4: trust.colour is unknown; known fields are keys, owners") })
        #expect(lines.contains("h: line 5: trust.owners holds \"alice\"; allowed are numeric user ids"))
        #expect(lines.contains { $0.hasPrefix(key) })
        #expect(lines.contains { $0.hasPrefix("h: line 9: trust.keys[1].id is missing") })
        #expect(lines.contains { $0.contains("trust.keys is missing or has no usable key") })
        let policy = #expect(throws: HostError.self) {
            try HostConfiguration.parse("role: manager\ntrust: { policy: none }", name: "h")
        }
        #expect(policy?.message == "h: line 2: trust.policy is \"none\"; allowed are any, digest, signed")
    }

    @Test func aRefusedPluginIsReportedAtItsLine() async throws {
        let folder = try TrustedFolder()
        defer { folder.remove() }
        let file = folder.folder.appending(path: "host.yaml")
        let text = "role: manager\nplugins:\n  - { name: traced, path: \(folder.plugin) }\n"
        try Data(text.utf8).write(to: file)
        let check = await ConfigurationCheck(path: file.path, depth: .files, logger: .init(label: "test"))
        #expect(
            check.errors == [
                "\(file.path): line 3: plugin \(folder.plugin): has no manifest, which the trust policy digest asks for"
            ])
        #expect(folder.loads == 0)
    }
}
