import FoundationEssentials
import JSONModel

extension Kubeconfig {
    /// `users[].user.exec`.
    struct Exec: Decodable, Sendable {
        struct Variable: Decodable, Sendable {
            var name: String
            var value: String?
        }

        var apiVersion: String?
        var command: String?
        var args: [String]?
        var env: [Variable]?
        var installHint: String?
        var provideClusterInfo: Bool?
        var interactiveMode: String?
    }

    /// Further settings of a cluster; one of them is for credential plugins.
    struct ClusterExtension: Decodable, Sendable {
        var name: String
        var `extension`: JSONValue
    }

    /// Name of the extension that is handed to credential plugins as `spec.cluster.config`.
    private static let execExtension = "client.authentication.k8s.io/exec"

    /// - Throws: ``KubernetesError`` that names the field.
    func plugin(_ exec: Exec, cluster: Cluster, _ configuration: ClientConfiguration) throws -> ExecCredentialPlugin {
        let versions = ExecCredentialPlugin.Version.allCases.map(\.rawValue).joined(separator: ", ")
        guard let version = ExecCredentialPlugin.Version(rawValue: exec.apiVersion ?? "") else {
            throw problem("users[].user.exec.apiVersion is \"\(exec.apiVersion ?? "")\"; allowed: \(versions)")
        }
        guard let command = exec.command, !command.isEmpty else {
            throw problem("users[].user.exec.command is not set; allowed: a path or a name in PATH")
        }
        // v1beta1 had IfAvailable as its default, v1 has none.
        switch exec.interactiveMode ?? (version == .v1beta1 ? "IfAvailable" : "") {
        case "Never", "IfAvailable": break
        case "Always":
            throw problem(
                "users[].user.exec.interactiveMode is \"Always\", but nobody can be asked here; "
                    + "allowed: Never, IfAvailable")
        case let other:
            throw problem("users[].user.exec.interactiveMode is \"\(other)\"; allowed: Never, IfAvailable")
        }
        var environment: [String: String] = [:]
        for variable in exec.env ?? [] {
            guard !variable.name.isEmpty, !variable.name.contains("=") else {
                throw problem("users[].user.exec.env: name is \"\(variable.name)\"; allowed: a name without =")
            }
            environment[variable.name] = variable.value ?? ""
        }
        let provides = exec.provideClusterInfo ?? false
        return ExecCredentialPlugin(
            version: version,
            // As kubectl: a path is relative to the file, a name is looked up.
            command: command.contains("/") ? absolute(command) : command, arguments: exec.args ?? [],
            environment: environment, cluster: provides ? information(cluster, configuration) : nil,
            installHint: exec.installHint.flatMap { $0.isEmpty ? nil : $0 })
    }

    private func information(_ cluster: Cluster, _ configuration: ClientConfiguration) -> JSONValue {
        var information: JSONValue = ["server": .string(configuration.server)]
        if let authority = configuration.certificateAuthority {
            information["certificate-authority-data"] = .string(Data(authority).base64EncodedString())
        }
        if configuration.insecureSkipTLSVerify { information["insecure-skip-tls-verify"] = true }
        if let config = cluster.extensions?.first(where: { $0.name == Self.execExtension })?.extension {
            information["config"] = config
        }
        return information
    }
}
