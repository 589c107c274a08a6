/// What a container runtime asked for, checked as far as this executable needs it.
struct Invocation {
    /// CNI specification versions, as in the `supportedVersions` of upstream's plugin.
    static let supportedVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    /// Bytes of a unix socket's path, without the terminating zero (`sockaddr_un.sun_path`).
    static let maximumSocketPath = 107
    /// Everything the CNI specification defines, and the override of the reference library.
    static let variableNames = [
        "CNI_ARGS", "CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_NETNS_OVERRIDE", "CNI_PATH",
    ]

    enum Command: String, CaseIterable {
        case add = "ADD"
        case check = "CHECK"
        case delete = "DEL"
        case collectGarbage = "GC"
        case status = "STATUS"
        case version = "VERSION"

        /// Variables without which the command has no meaning (CNI specification 1.1.0, section 2).
        var requiredVariables: [String] {
            switch self {
            case .add, .check: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]
            case .delete: ["CNI_CONTAINERID", "CNI_IFNAME"]
            case .collectGarbage, .status, .version: []
            }
        }

        /// A pod's removal must not hang on a daemon that is gone: what it would clean up dies with the pod's
        /// namespace, or is found later by the daemon itself.
        var succeedsWithoutDaemon: Bool { self == .delete || self == .collectGarbage }

        /// Seconds. ADD waits for the Kubernetes API and the tunnel.
        var patience: Int { self == .add ? 90 : 30 }
    }

    let command: Command
    let environment: [(name: String, value: String)]
    /// The network configuration, byte for byte as it came.
    let configuration: String
    let socketPath: String
    /// Seconds.
    let patience: Int

    /// The command, or the error that the variable deserves.
    static func command(of environment: [(name: String, value: String)]) throws(CNIError) -> Command {
        let allowed = Command.allCases.map(\.rawValue).joined(separator: ", ")
        guard let name = environment.first(where: { $0.name == "CNI_COMMAND" })?.value, !name.isEmpty else {
            throw CNIError(.environment, "CNI_COMMAND is not set", "allowed: \(allowed)")
        }
        guard let command = Command(rawValue: name) else {
            throw CNIError(.environment, "CNI_COMMAND: \(quoted(name)) is unknown", "allowed: \(allowed)")
        }
        for required in command.requiredVariables
        where !environment.contains(where: { $0.name == required && !$0.value.isEmpty }) {
            throw CNIError(.environment, "\(required) is not set", "\(name) needs it")
        }
        return command
    }

    /// - Parameter configuration: the network configuration, already known to be this JSON object.
    init(
        command: Command, environment: [(name: String, value: String)], text: String, configuration: JSONValue
    ) throws(CNIError) {
        guard let name = configuration["name"]?.text, !name.isEmpty else {
            throw CNIError(.configuration, "field name is missing", "the name of the network, a string")
        }
        guard let socketPath = configuration["socketPath"]?.text else {
            throw CNIError(
                .configuration, "field socketPath is missing", "the absolute path of the node daemon's socket")
        }
        guard socketPath.hasPrefix("/"), socketPath.utf8.count <= Self.maximumSocketPath,
            !socketPath.utf8.contains(0)
        else {
            throw CNIError(
                .configuration, "field socketPath: \(quoted(socketPath)) is not allowed",
                "an absolute path of at most \(Self.maximumSocketPath) bytes")
        }
        var patience = command.patience
        if let value = configuration["timeoutSeconds"] {
            guard let seconds = value.integer, (1...300).contains(seconds) else {
                throw CNIError(.configuration, "field timeoutSeconds is not allowed", "an integer of 1 to 300")
            }
            patience = seconds
        }
        self.command = command
        self.environment = environment
        self.configuration = text
        self.socketPath = socketPath
        self.patience = patience
    }

    /// The relay's request: see the node role's socket server.
    var request: String {
        let variables = environment.map { "\(quoted($0.name)):\(quoted($0.value))" }.joined(separator: ",")
        return "{\"version\":1,\"environment\":{\(variables)},\"configuration\":\(quoted(configuration))}"
    }
}

/// The specification version a configuration asks for, "0.1.0" where it is silent (CNI specification, section 1).
func version(of configuration: JSONValue) throws(CNIError) -> String {
    guard let value = configuration["cniVersion"] else { return "0.1.0" }
    guard let version = value.text else {
        throw CNIError(.configuration, "field cniVersion is not a string", "allowed: a version such as \"1.0.0\"")
    }
    guard Invocation.supportedVersions.contains(version) else {
        throw CNIError(
            .version, "field cniVersion: \(quoted(version)) is not supported",
            "supported: \(Invocation.supportedVersions.joined(separator: ", "))")
    }
    return version
}

/// An error as the CNI specification wants it on standard output.
struct CNIError: Error {
    /// CNI specification 1.1.0, section 5.
    enum Code: Int {
        case version = 1
        case environment = 4
        case input = 5
        case decoding = 6
        case configuration = 7
        case tryAgainLater = 11
    }

    let code: Code
    let message: String
    let details: String

    init(_ code: Code, _ message: String, _ details: String) {
        self.code = code
        self.message = message
        self.details = details
    }

    func object(version: String) -> String {
        "{\"cniVersion\":\(quoted(version)),\"code\":\(code.rawValue),"
            + "\"msg\":\(quoted("kube-egress-cni: " + message)),\"details\":\(quoted(details))}\n"
    }
}
