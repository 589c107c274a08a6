import FoundationEssentials
import Yams

/// The part of a kubeconfig file (`v1 Config`) that this client understands. What it does not understand and what would
/// change whom or how it speaks to is an error, never ignored.
struct Kubeconfig {
    struct File: Decodable {
        var currentContext: String?
        var clusters: [Named<Cluster>]?
        var users: [Named<User>]?
        var contexts: [Named<Context>]?

        enum CodingKeys: String, CodingKey {
            case clusters, users, contexts
            case currentContext = "current-context"
        }
    }

    /// An entry of one of the three lists; its value has a field name of its own in each.
    struct Named<Value: Decodable & Sendable>: Decodable, Sendable {
        var name: String
        var value: Value

        enum CodingKeys: String, CodingKey {
            case name, cluster, user, context
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            name = try container.decode(String.self, forKey: .name)
            let key = [CodingKeys.cluster, .user, .context].first { container.contains($0) } ?? .cluster
            value = try container.decode(Value.self, forKey: key)
        }
    }

    struct Cluster: Decodable, Sendable {
        var server: String?
        var certificateAuthority: String?
        var certificateAuthorityData: String?
        var insecureSkipTLSVerify: Bool?
        var proxyURL: String?
        var tlsServerName: String?
        var extensions: [ClusterExtension]?

        enum CodingKeys: String, CodingKey {
            case server, extensions
            case certificateAuthority = "certificate-authority"
            case certificateAuthorityData = "certificate-authority-data"
            case insecureSkipTLSVerify = "insecure-skip-tls-verify"
            case proxyURL = "proxy-url"
            case tlsServerName = "tls-server-name"
        }
    }

    struct User: Decodable, Sendable {
        var clientCertificate: String?
        var clientCertificateData: String?
        var clientKey: String?
        var clientKeyData: String?
        var token: String?
        var tokenFile: String?
        var username: String?
        var exec: Exec?
        var authProvider: Ignored?

        enum CodingKeys: String, CodingKey {
            case token, tokenFile, username, exec
            case clientCertificate = "client-certificate"
            case clientCertificateData = "client-certificate-data"
            case clientKey = "client-key"
            case clientKeyData = "client-key-data"
            case authProvider = "auth-provider"
        }
    }

    /// Only whether it is there matters.
    struct Ignored: Decodable, Sendable {
        init(from decoder: any Decoder) throws {}
    }

    struct Context: Decodable, Sendable {
        var cluster: String
        var user: String?
        var namespace: String?
    }

    let file: File
    let path: String

    static func parse(_ text: String, path: String) throws -> Kubeconfig {
        do {
            return Kubeconfig(file: try YAMLDecoder().decode(File.self, from: text), path: path)
        } catch {
            throw KubernetesError(
                .configuration, "kubeconfig: \"\(path)\" is no kubeconfig; allowed: YAML of kind Config", cause: error)
        }
    }

    func configuration(context wanted: String?) throws -> ClientConfiguration {
        guard let name = wanted ?? file.currentContext, !name.isEmpty else {
            throw problem("current-context is not set; allowed: \(names(file.contexts))")
        }
        guard let context = file.contexts?.first(where: { $0.name == name })?.value else {
            throw problem("context \"\(name)\" is not there; allowed: \(names(file.contexts))")
        }
        guard let cluster = file.clusters?.first(where: { $0.name == context.cluster })?.value else {
            throw problem("cluster \"\(context.cluster)\" is not there; allowed: \(names(file.clusters))")
        }
        var configuration = ClientConfiguration(server: try server(of: cluster))
        if let namespace = context.namespace, !namespace.isEmpty { configuration.namespace = namespace }
        configuration.insecureSkipTLSVerify = cluster.insecureSkipTLSVerify ?? false
        configuration.certificateAuthority = try material(
            cluster.certificateAuthorityData, file: cluster.certificateAuthority, field: "certificate-authority")
        if let userName = context.user, !userName.isEmpty {
            guard let user = file.users?.first(where: { $0.name == userName })?.value else {
                throw problem("user \"\(userName)\" is not there; allowed: \(names(file.users))")
            }
            try apply(user, cluster, to: &configuration)
        }
        return configuration
    }

    private func server(of cluster: Cluster) throws -> String {
        if cluster.proxyURL?.isEmpty == false { throw unsupported("proxy-url", use: "a server reachable directly") }
        if cluster.tlsServerName?.isEmpty == false {
            throw unsupported("tls-server-name", use: "a server named as in its certificate")
        }
        var server = cluster.server ?? ""
        while server.hasSuffix("/") { server.removeLast() }
        let schemes = ["http://", "https://", "http+unix://"]
        guard schemes.contains(where: { server.hasPrefix($0) && server.count > $0.count }) else {
            throw problem("server \"\(server)\" is no address; allowed: \(schemes.joined(separator: ", "))")
        }
        return server
    }

    private func apply(_ user: User, _ cluster: Cluster, to configuration: inout ClientConfiguration) throws {
        let others = "token, tokenFile, a client certificate or exec"
        if user.authProvider != nil { throw unsupported("users[].user.auth-provider", use: others) }
        if user.username != nil {
            throw unsupported("users[].user.username (basic authentication)", use: others)
        }
        configuration.clientCertificate = try material(
            user.clientCertificateData, file: user.clientCertificate, field: "client-certificate")
        configuration.clientKey = try material(user.clientKeyData, file: user.clientKey, field: "client-key")
        guard (configuration.clientCertificate == nil) == (configuration.clientKey == nil) else {
            throw problem("client-certificate and client-key go together; allowed: both or none")
        }
        // As kubectl: the file wins, because its content is the newer one.
        if let tokenFile = user.tokenFile, !tokenFile.isEmpty {
            configuration.credential = .tokenFile(absolute(tokenFile))
        } else if let token = user.token, !token.isEmpty {
            configuration.credential = .token(token)
        }
        if let exec = user.exec {
            guard configuration.credential == .none, configuration.clientCertificate == nil else {
                throw problem("users[].user.exec goes with no other credential; allowed: exec, or one of the others")
            }
            configuration.credential = .exec(try plugin(exec, cluster: cluster, configuration))
        }
    }

    /// Inline base64 wins over a file, as with kubectl.
    private func material(_ inline: String?, file: String?, field: String) throws -> [UInt8]? {
        if let inline, !inline.isEmpty {
            guard let data = Data(base64Encoded: inline) else {
                throw problem("\(field)-data is no base64; allowed: base64 of PEM")
            }
            return [UInt8](data)
        }
        guard let file, !file.isEmpty else { return nil }
        return try ConfigurationFile.bytes(absolute(file), field: field)
    }

    func absolute(_ file: String) -> String {
        if file.hasPrefix("/") { return file }
        guard let slash = path.lastIndex(of: "/") else { return file }
        return path[...slash] + file
    }

    private func names<Value>(_ list: [Named<Value>]?) -> String {
        let names = (list ?? []).map(\.name)
        return names.isEmpty ? "(the file has none)" : names.joined(separator: ", ")
    }

    func problem(_ text: String) -> KubernetesError {
        KubernetesError(.configuration, "kubeconfig \(path): \(text)")
    }

    private func unsupported(_ field: String, use: String) -> KubernetesError {
        KubernetesError(.unsupported, "kubeconfig \(path): \(field) is not supported; allowed: \(use)")
    }
}
