import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// A version of the plugin border.
public struct ABIVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var major: UInt32
    public var minor: UInt32

    public init(_ major: UInt32, _ minor: UInt32) {
        self.major = major
        self.minor = minor
    }

    /// The form of `egp_provider.abi_version`.
    init(packed: UInt32) { self.init(packed >> 16, packed & 0xFFFF) }

    /// `MAJOR.MINOR`, decimal without leading zeros.
    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { part in
            UInt32(part).flatMap { String($0) == part && $0 <= 99_999 ? $0 : nil }
        }
        guard parts.count == 2, let major = parts[0], let minor = parts[1] else { return nil }
        self.init(major, minor)
    }

    public static func < (left: ABIVersion, right: ABIVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    public var description: String { "\(major).\(minor)" }

    /// What this host speaks.
    static let ofHost = ABIVersion(packed: UInt32(EGP_ABI_VERSION))
}

/// `<Name>.plugin.json` beside `lib<Name>.so`: what may be known of a plugin without loading it. Members that this
/// version does not know are ignored, but signed like all others.
public struct PluginManifest: Sendable, Equatable {
    public struct Signature: Sendable, Equatable {
        /// ``PluginPublicKey/keyID`` of the key.
        public var keyID: String
        /// 64 bytes.
        public var value: [UInt8]
    }

    /// The largest manifest that is read, in bytes.
    public static let maximumBytes = 1 << 20
    /// The only version of the format.
    static let formatVersion: Int64 = 1
    static let algorithm = "ed25519"
    /// Goes before the canonical JSON, so that a signature for another purpose cannot be used as one of a manifest.
    private static let domain = "egress-gateway plugin manifest v1\n"

    public let name: String
    public let version: String
    public let kind: ProviderKind
    /// File name of the shared object, in the manifest's folder.
    public let file: String
    public let abi: ClosedRange<ABIVersion>
    public let capabilities: [String]
    public let configurationSchema: JSONValue?
    /// Of the shared object, 64 lower-case hexadecimal digits.
    public let sha256: String
    public let signature: Signature?
    let document: JSONValue

    /// Where the manifest of a shared object is: `libX.so` and `X.so` have `X.plugin.json`; nil for a file that is not
    /// called `*.so`.
    public static func path(forPlugin path: String) -> String? {
        let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        let file = path[slash...]
        guard file.hasSuffix(".so"), file.count > 3 else { return nil }
        let stem = file.dropLast(3)
        let name = stem.hasPrefix("lib") && stem.count > 3 ? stem.dropFirst(3) : stem
        return "\(path[..<slash])\(name).plugin.json"
    }

    /// - Throws: ``HostError`` that names the field, the value and what is allowed, without the file's path.
    public init(parsing text: Data) throws {
        guard text.count <= Self.maximumBytes else {
            throw HostError(.plugin, "has \(text.count) bytes; at most \(Self.maximumBytes) are allowed")
        }
        let document: JSONValue
        do {
            document = try JSONValue(json: text)
        } catch {
            throw HostError(.plugin, "is not JSON")
        }
        try self.init(document)
    }

    init(_ document: JSONValue) throws {
        guard document.members != nil else { throw HostError(.plugin, "is not a JSON object") }
        let reader = ManifestReader(document)
        try reader.require("manifestVersion", .integer(Self.formatVersion))
        name = try reader.text("name", atMost: 64)
        version = try reader.text("version", atMost: 64)
        let kind = try reader.text("kind", atMost: 64)
        guard let known = ProviderKind(rawValue: kind) else {
            let allowed = ProviderKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw HostError(.plugin, "kind is \"\(kind)\"; allowed are \(allowed)")
        }
        self.kind = known
        file = try reader.text("file", atMost: 255)
        guard !file.contains("/"), file.hasSuffix(".so") else {
            throw HostError(.plugin, "file is \"\(file)\"; allowed is the name of a .so in the manifest's folder")
        }
        let minimum = try reader.version("abi", "minimum")
        let maximum = try reader.version("abi", "maximum")
        guard minimum <= maximum else {
            throw HostError(.plugin, "abi.minimum is \(minimum), above abi.maximum, which is \(maximum)")
        }
        abi = minimum...maximum
        capabilities = try reader.texts("capabilities", atMost: 64)
        configurationSchema = try reader.object("configurationSchema")
        sha256 = try reader.hexadecimal("sha256", document["sha256"], digits: 64)
        signature = try reader.object("signature").map { try Self.signature($0, reader) }
        self.document = document
    }

    private static func signature(_ object: JSONValue, _ reader: ManifestReader) throws -> Signature {
        guard object["algorithm"] == .string(algorithm) else {
            let value = object["algorithm"]?.text ?? "not a text"
            throw HostError(.plugin, "signature.algorithm is \"\(value)\"; allowed is \(algorithm)")
        }
        guard let value = object["value"]?.text.flatMap(canonicalBase64), value.count == 64 else {
            throw HostError(.plugin, "signature.value must be base64 of 64 bytes")
        }
        return Signature(
            keyID: try reader.hexadecimal("signature.keyID", object["keyID"], digits: 16), value: value)
    }

    /// What a signature is over. It holds the digest, and so covers the shared object.
    func signedBytes() throws -> [UInt8] {
        var unsigned = document
        unsigned["signature"] = nil
        return Array(Self.domain.utf8) + (try CanonicalJSON.bytes(unsigned))
    }

    /// The same manifest with a signature by `key`.
    public func signed(by key: PluginSigningKey) throws -> PluginManifest {
        let value = key.signature(of: try signedBytes())
        var document = document
        document["signature"] = [
            "algorithm": .string(Self.algorithm), "keyID": .string(key.publicKey.keyID),
            "value": .string(Data(value).base64EncodedString()),
        ]
        return try PluginManifest(document)
    }

    /// - Throws: ``HostError`` without the path, if a plugin says of itself something else than its manifest.
    func requireSame(as descriptor: ProviderDescriptor) throws {
        let differences: [(String, String, String)] = [
            ("name", descriptor.name, name), ("version", descriptor.version, version),
            ("kind", descriptor.kind.rawValue, kind.rawValue),
            (
                "capabilities", descriptor.capabilities.joined(separator: " "),
                capabilities.joined(separator: " ")
            ),
        ]
        if let (field, found, expected) = differences.first(where: { $0.1 != $0.2 }) {
            throw HostError(.plugin, "calls its \(field) \"\(found)\", its manifest says \"\(expected)\"")
        }
        guard descriptor.configurationSchema == configurationSchema else {
            throw HostError(.plugin, "has another configurationSchema than its manifest says")
        }
    }
}

/// Fields of a manifest.
private struct ManifestReader {
    private let document: JSONValue

    init(_ document: JSONValue) { self.document = document }

    func require(_ field: String, _ value: JSONValue) throws {
        guard let found = document[field] else { throw HostError(.plugin, "\(field) is missing") }
        guard found == value else {
            throw HostError(.plugin, "\(field) is \(Self.shown(found)); allowed is \(Self.shown(value))")
        }
    }

    func text(_ field: String, atMost limit: Int) throws -> String {
        guard let value = document[field] else { throw HostError(.plugin, "\(field) is missing") }
        guard let text = value.text, (1...limit).contains(text.count), !text.contains(where: \.isNewline) else {
            throw HostError(
                .plugin, "\(field) is \(Self.shown(value)); allowed is a text of 1 to \(limit) characters in one line")
        }
        return text
    }

    func texts(_ field: String, atMost limit: Int) throws -> [String] {
        guard let value = document[field] else { throw HostError(.plugin, "\(field) is missing") }
        let texts = value.elements.compactMap(\.text)
        guard case .array(let elements) = value, elements.count == texts.count, texts.count <= limit else {
            throw HostError(.plugin, "\(field) must be a list of at most \(limit) texts")
        }
        return texts
    }

    func version(_ object: String, _ field: String) throws -> ABIVersion {
        guard let text = document[object]?[field]?.text, let version = ABIVersion(text) else {
            throw HostError(.plugin, "\(object).\(field) must be a version such as \"1.0\"")
        }
        return version
    }

    func object(_ field: String) throws -> JSONValue? {
        guard let value = document[field] else { return nil }
        guard value.members != nil else { throw HostError(.plugin, "\(field) must be an object, not \(value.kind)") }
        return value
    }

    func hexadecimal(_ field: String, _ value: JSONValue?, digits: Int) throws -> String {
        guard let text = value?.text, text.utf8.count == digits,
            text.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else { throw HostError(.plugin, "\(field) must be \(digits) lower-case hexadecimal digits") }
        return text
    }

    /// For messages: short, in one line.
    private static func shown(_ value: JSONValue) -> String {
        switch value {
        case .integer(let number): String(number)
        case .string(let text): "\"\(text.prefix(64).filter { !$0.isNewline })\""
        default: value.kind
        }
    }
}
