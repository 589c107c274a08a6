import FoundationEssentials

/// Where the API server is and how to speak to it. Certificates are read when this is made; a token file is read again
/// while the client runs, because clusters rotate tokens.
public struct ClientConfiguration: Sendable {
    /// How requests are authenticated, beside a client certificate.
    public enum Credential: Sendable, Equatable {
        /// No header is sent.
        case none
        /// A bearer token that does not change.
        case token(String)
        /// A file with a bearer token, read again at least once a minute and after a 401.
        case tokenFile(String)
        /// A program that gives a token, a client certificate or both; takes the place of `clientCertificate`.
        case exec(ExecCredentialPlugin)
    }

    /// `http://`, `https://` or `http+unix://` with the percent-encoded path of a socket as the host; no slash at the
    /// end. The last form is an extension for API servers on the same machine.
    public var server: String
    /// Namespace of the kubeconfig's context or of the pod; `default` if none is named.
    public var namespace: String
    /// PEM certificates that are trusted instead of the system's; nil: the system's.
    public var certificateAuthority: [UInt8]?
    /// PEM chain shown to the server; needs `clientKey`.
    public var clientCertificate: [UInt8]?
    /// PEM key of the certificate.
    public var clientKey: [UInt8]?
    /// Bearer token, or where one comes from.
    public var credential: Credential
    /// True: the server's certificate is not checked at all.
    public var insecureSkipTLSVerify: Bool
    /// Until a connection must stand.
    public var connectTimeout: Duration
    /// Until a whole answer must be there, for everything but watches.
    public var requestTimeout: Duration
    /// How long a watch may bring nothing, not even a bookmark; real servers send bookmarks about once a minute.
    public var watchIdleTimeout: Duration
    /// Longest body of an answer, in bytes; a list is read in pages, so this bounds one page.
    public var maximumBodyBytes: Int
    /// Longest line of a watch, in bytes; etcd's default object limit is 1.5 MiB.
    public var maximumLineBytes: Int

    /// Makes a configuration with the given server and defaults for the rest; nothing is checked before the client is
    /// made.
    public init(server: String, namespace: String = "default", credential: Credential = .none) {
        self.server = server
        self.namespace = namespace
        self.credential = credential
        insecureSkipTLSVerify = false
        connectTimeout = .seconds(10)
        requestTimeout = .seconds(30)
        watchIdleTimeout = .seconds(150)
        maximumBodyBytes = 64 * 1024 * 1024
        maximumLineBytes = 8 * 1024 * 1024
    }

    /// Reads a kubeconfig file.
    ///
    /// - Parameters:
    ///   - path: the file; relative paths inside it are relative to its folder.
    ///   - context: the context to use; nil: the file's `current-context`.
    /// - Throws: ``KubernetesError`` with code `configuration` or `unsupported` that names field and value.
    public static func load(kubeconfig path: String, context: String? = nil) throws -> ClientConfiguration {
        let text = try ConfigurationFile.text(path, field: "kubeconfig")
        return try Kubeconfig.parse(text, path: path).configuration(context: context)
    }

    /// Where a pod finds its service account (Kubernetes documentation, "Accessing the API from within a Pod").
    public static let serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// Uses the pod's service account.
    ///
    /// - Parameters:
    ///   - environment: where `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` are looked up.
    ///   - directory: folder with `token`, `ca.crt` and `namespace`.
    /// - Throws: ``KubernetesError`` with code `configuration` outside of a pod.
    public static func inCluster(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        directory: String = serviceAccountDirectory
    ) throws -> ClientConfiguration {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"], !port.isEmpty
        else {
            throw KubernetesError(
                .configuration,
                "KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set: no pod; name a kubeconfig instead")
        }
        let literal = host.contains(":") ? "[\(host)]" : host
        var configuration = ClientConfiguration(
            server: "https://\(literal):\(port)", credential: .tokenFile("\(directory)/token"))
        _ = try ConfigurationFile.text("\(directory)/token", field: "service account token")
        configuration.certificateAuthority = try ConfigurationFile.bytes(
            "\(directory)/ca.crt", field: "service account certificate authority")
        if let namespace = try? ConfigurationFile.text("\(directory)/namespace", field: "namespace"),
            !namespace.isEmpty
        {
            configuration.namespace = namespace.trimmingWhitespace()
        }
        return configuration
    }
}

/// Small files that are read while a configuration is made, before anything runs.
enum ConfigurationFile {
    static func bytes(_ path: String, field: String) throws -> [UInt8] {
        do {
            return [UInt8](try Data(contentsOf: URL(filePath: path)))
        } catch {
            throw KubernetesError(
                .configuration, "\(field): cannot read \"\(path)\"; allowed: a readable file", cause: error)
        }
    }

    static func text(_ path: String, field: String) throws -> String {
        String(decoding: try bytes(path, field: field), as: UTF8.self)
    }
}

extension String {
    /// Without white space at both ends; token files often end in a newline.
    func trimmingWhitespace() -> String {
        let start = drop { $0.isWhitespace }
        return String(start.reversed().drop { $0.isWhitespace }.reversed())
    }
}
