import FoundationEssentials
import Kubernetes

/// The gateways' private keys, each read from its own Secret once; no Secret is ever listed.
actor GatewayKeys {
    /// Key of the Secret's data (upstream behaviour section 2.1).
    private static let field = "PrivateKey"

    private struct Entry {
        var publicKey: String
        var secret: String
        var privateKey: String
    }

    private let namespace: String
    private let read: @Sendable (_ namespace: String, _ name: String) async throws -> Secret
    private var entries: [String: Entry] = [:]

    /// - Parameters:
    ///   - namespace: the only one whose Secrets are read.
    ///   - read: gets one Secret.
    init(namespace: String, read: @escaping @Sendable (String, String) async throws -> Secret) {
        self.namespace = namespace
        self.read = read
    }

    /// Private keys by UID, base64, and why the others are missing. A key is read again when the public half in the
    /// status or the Secret's name changes.
    func load(_ servers: [GatewayPlan.Server]) async -> (keys: [String: String], failures: [String: String]) {
        entries = entries.filter { entry in servers.contains { $0.uid == entry.key } }
        var failures: [String: String] = [:]
        for server in servers {
            if let entry = entries[server.uid], entry.publicKey == server.publicKey, entry.secret == server.secret.name
            {
                continue
            }
            entries[server.uid] = nil
            do {
                entries[server.uid] = Entry(
                    publicKey: server.publicKey, secret: server.secret.name, privateKey: try await fetch(server.secret))
            } catch {
                failures[server.uid] = String(describing: error)
            }
        }
        return (entries.mapValues(\.privateKey), failures)
    }

    private func fetch(_ reference: ObjectReference) async throws -> String {
        guard reference.namespace == namespace else {
            throw HostError(
                .invalidObject,
                "privateKeySecretRef.namespace: \"\(reference.namespace)\" is not allowed; allowed: \(namespace)")
        }
        let secret = try await read(reference.namespace, reference.name)
        guard let value = secret.data[Self.field] else {
            throw HostError(.invalidObject, "Secret \(secret.qualifiedName): data.\(Self.field) is missing")
        }
        let text = String(decoding: value, as: UTF8.self)
        guard Data(base64Encoded: text)?.count == 32 else {
            throw HostError(
                .invalidObject, "Secret \(secret.qualifiedName): data.\(Self.field) is not base64 of 32 bytes")
        }
        return text
    }

    /// Reads the Secret again next time; its key did not fit.
    func forget(_ uid: String) { entries[uid] = nil }
}
