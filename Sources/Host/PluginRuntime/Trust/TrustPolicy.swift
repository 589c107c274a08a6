import Glibc
import ProviderKit

/// The section `trust` of `host.yaml`: which plugin files may run in this process. `docs/plugin-trust.md` helps to
/// choose.
public struct TrustPolicy: Sendable, Equatable, Codable {
    /// What a file must show.
    public enum Level: String, Sendable, CaseIterable, Codable {
        /// Nothing but its owner and mode. A manifest is optional; a wrong digest is a warning.
        case any
        /// A manifest whose SHA-256 is the file's.
        case digest
        /// Also a signature of that manifest by one of ``TrustPolicy/keys``.
        case signed
    }

    /// A key whose signatures count.
    public struct Key: Sendable, Equatable, Codable {
        /// A name for people, such as `release-2026`.
        public var name: String
        public var publicKey: PluginPublicKey

        public init(name: String, publicKey: PluginPublicKey) {
            self.name = name
            self.publicKey = publicKey
        }
    }

    public var level: Level
    public var keys: [Key]
    /// User ids, besides 0 and the daemon's own, whose files and folders are trusted as if they were the daemon's.
    public var owners: Set<UInt32>

    public init(level: Level = .digest, keys: [Key] = [], owners: Set<UInt32> = []) {
        self.level = level
        self.keys = keys
        self.owners = owners
    }

    /// The rules for files and folders under this policy, in a daemon that runs as `user`.
    func ownership(user: uid_t = geteuid()) -> OwnershipRules {
        OwnershipRules(owners: owners.union([0, user]), allowsSharedFolders: level == .any)
    }

    /// Decides about a file whose owner, mode and place are in order. Pure.
    ///
    /// - Parameters:
    ///   - manifest: nil if there is none.
    ///   - sha256: of the file, in lower-case hexadecimal.
    /// - Throws: ``HostError`` whose message has no path; the caller has it.
    func judge(_ manifest: PluginManifest?, sha256: String) throws -> (verdict: TrustVerdict, warnings: [String]) {
        guard let manifest else {
            guard level == .any else {
                throw HostError(.plugin, "has no manifest, which the trust policy \(level.rawValue) asks for")
            }
            return (.unverified, ["has no manifest; the trust policy any lets it run unverified"])
        }
        guard manifest.sha256 == sha256 else {
            let difference = "has the SHA-256 \(sha256), its manifest says \(manifest.sha256)"
            guard level == .any else { throw HostError(.plugin, difference) }
            return (.unverified, [difference + "; the trust policy any lets it run unverified"])
        }
        switch level {
        case .any: return (.unverified, ["is not verified, by the trust policy any"])
        case .digest: return (.digest, [])
        case .signed: return (.signed(by: try signer(of: manifest).name), [])
        }
    }

    private func signer(of manifest: PluginManifest) throws -> Key {
        guard let signature = manifest.signature else {
            throw HostError(.plugin, "has a manifest without signature, which the trust policy signed asks for")
        }
        guard let key = keys.first(where: { $0.publicKey.keyID == signature.keyID }) else {
            let known = keys.map { "\($0.publicKey.keyID) (\($0.name))" }.joined(separator: ", ")
            throw HostError(
                .plugin, "has a manifest signed with key \(signature.keyID); trust.keys has \(known)")
        }
        guard key.publicKey.isSignature(signature.value, of: try manifest.signedBytes()) else {
            throw HostError(
                .plugin, "has a manifest whose signature is not that of key \(signature.keyID) (\(key.name))")
        }
        return key
    }
}

/// What is known of a plugin that the policy lets in.
public enum TrustVerdict: Sendable, Equatable, CustomStringConvertible {
    case unverified
    case digest
    /// The name that `host.yaml` gives the key.
    case signed(by: String)

    public var description: String {
        switch self {
        case .unverified: "unverified"
        case .digest: "digest ok"
        case .signed(let name): "signed by \(name)"
        }
    }
}
