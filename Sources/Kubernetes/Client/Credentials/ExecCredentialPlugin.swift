import FoundationEssentials
import JSONModel

/// A program that gives credentials: `users[].user.exec` of a kubeconfig (Kubernetes documentation, "client-go credential
/// plugins"; API group client.authentication.k8s.io).
///
/// It runs with this process's environment and the entries here, with `KUBERNETES_EXEC_INFO`, without a terminal: its
/// standard input is /dev/null.
public struct ExecCredentialPlugin: Sendable, Equatable {
    /// The versions of the protocol. They differ in nothing that this client uses.
    public enum Version: String, Sendable, CaseIterable {
        /// Since Kubernetes 1.22.
        case v1 = "client.authentication.k8s.io/v1"
        /// The one before.
        case v1beta1 = "client.authentication.k8s.io/v1beta1"
    }

    /// The version asked for; an answer of another one is refused.
    public var version: Version
    /// A path, or a name that is looked up in `PATH`.
    public var command: String
    /// Arguments, without the program's own name.
    public var arguments: [String]
    /// Added to this process's environment; wins over it.
    public var environment: [String: String]
    /// The cluster as the program is told of it; nil unless the kubeconfig says `provideClusterInfo`.
    public var cluster: JSONValue?
    /// Said to the user if the program is not there.
    public var installHint: String?
    /// After this the program and its children are killed.
    public var timeLimit: Duration
    /// Longest answer, in bytes; a longer one is refused and the program killed.
    public var maximumOutputBytes: Int

    /// Names a program; whether it is there is seen when credentials are needed first.
    public init(
        version: Version, command: String, arguments: [String] = [], environment: [String: String] = [:],
        cluster: JSONValue? = nil, installHint: String? = nil, timeLimit: Duration = .seconds(60),
        maximumOutputBytes: Int = 1 << 20
    ) {
        self.version = version
        self.command = command
        self.arguments = arguments
        self.environment = environment
        self.cluster = cluster
        self.installHint = installHint
        self.timeLimit = timeLimit
        self.maximumOutputBytes = maximumOutputBytes
    }
}

extension ExecCredentialPlugin {
    /// What the program gave, and until when it is good; nil: until the server refuses it.
    struct Answer: Equatable {
        var credentials: Credentials
        var expiresAt: Date?
    }

    /// The text of `KUBERNETES_EXEC_INFO`.
    func request() throws -> String {
        var request: JSONValue = [
            "apiVersion": .string(version.rawValue), "kind": "ExecCredential", "spec": ["interactive": false],
        ]
        if let cluster { request["spec.cluster"] = cluster }
        return String(decoding: try request.json(), as: UTF8.self)
    }

    /// Reads what the program wrote.
    ///
    /// - Throws: ``KubernetesError`` with code `configuration` that names the field. It never holds the output: a
    ///   misspelt answer may well contain a token.
    func answer(_ output: [UInt8]) throws -> Answer {
        let credential: ExecCredential
        do {
            credential = try KubernetesJSON.decode(ExecCredential.self, from: Data(output))
        } catch {
            throw problem("gave no ExecCredential in JSON: \(DecodingReason.text(error))")
        }
        guard credential.kind == "ExecCredential" else {
            throw problem("gave kind \"\(credential.kind ?? "")\"; allowed: ExecCredential")
        }
        guard credential.apiVersion == version.rawValue else {
            throw problem("gave apiVersion \"\(credential.apiVersion ?? "")\"; allowed: \(version.rawValue)")
        }
        let status = credential.status
        let token = status?.token.flatMap { $0.isEmpty ? nil : $0 }
        let chain = status?.clientCertificateData ?? ""
        let key = status?.clientKeyData ?? ""
        guard chain.isEmpty == key.isEmpty else {
            throw problem("gave one of status.clientCertificateData and status.clientKeyData; allowed: both or none")
        }
        guard token != nil || !chain.isEmpty else {
            throw problem("gave neither status.token nor status.clientCertificateData; allowed: one of them or both")
        }
        let certificate = chain.isEmpty ? nil : ClientCertificate(chain: Array(chain.utf8), key: Array(key.utf8))
        return Answer(
            credentials: Credentials(token: token, certificate: certificate),
            expiresAt: status?.expirationTimestamp?.date)
    }

    func problem(_ text: String) -> KubernetesError {
        KubernetesError(.configuration, "credential plugin \"\(command)\" \(text)")
    }
}

/// The part of an `ExecCredential` that a program fills in.
private struct ExecCredential: Decodable {
    struct Status: Decodable {
        var token: String?
        var clientCertificateData: String?
        var clientKeyData: String?
        var expirationTimestamp: Timestamp?
    }

    var apiVersion: String?
    var kind: String?
    var status: Status?
}
