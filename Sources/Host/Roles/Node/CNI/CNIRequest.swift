import FoundationEssentials
import JSONModel
import Kubernetes
import ProviderKit

/// What the relay sends: the container runtime's environment and standard input, untouched.
struct RelayRequest: Codable, Sendable, Equatable {
    /// The relay protocol's version, 1.
    var version: Int
    /// Only `CNI_*`.
    var environment: [String: String]
    /// Standard input as text.
    var configuration: String
}

/// What the relay gets back.
struct RelayResponse: Codable, Sendable, Equatable {
    /// 0...255.
    var exitCode: Int
    /// For standard output.
    var output: String
}

/// A CNI request, parsed and checked. Pure: no file, no kernel, no network is touched.
struct CNIRequest: Sendable, Equatable {
    enum Command: String, Sendable {
        case add = "ADD"
        case check = "CHECK"
        case delete = "DEL"
        case collectGarbage = "GC"
        case status = "STATUS"
    }

    /// A container's attachment to the network, as GC lists them.
    struct Attachment: Sendable, Hashable {
        var containerID: String
        var interface: String
    }

    var command: Command
    /// Empty with GC and STATUS.
    var containerID: String
    /// Path of the pod's network namespace; empty where the runtime does not know it any more (DEL).
    var namespace: String
    /// The pod's ordinary interface, as the runtime calls it.
    var interface: String
    /// The pod, empty strings if the runtime did not say.
    var podNamespace: String
    var podName: String
    /// The pod's UID, if the runtime said (containerd and CRI-O do).
    var podUID: String?
    /// The version of the answer.
    var version: String
    /// The plugin configuration's own exceptions.
    var excludedCIDRs: [String]
    var previousResult: JSONValue?
    /// With GC: every attachment that is still valid; nil if the runtime did not list them.
    var validAttachments: Set<Attachment>?

    /// Parses what the relay sent.
    ///
    /// - Throws: ``CNIFailure`` that names the variable or field.
    init(_ relay: RelayRequest) throws {
        guard relay.version == 1 else {
            throw CNIFailure(
                .incompatibleVersion, "relay protocol version \(relay.version) is unknown", details: "allowed: 1")
        }
        let environment = relay.environment
        let name = environment["CNI_COMMAND"] ?? ""
        guard let command = Command(rawValue: name) else {
            throw CNIFailure(
                .environment, "CNI_COMMAND: \"\(name)\" is unknown", details: "allowed: ADD, CHECK, DEL, GC, STATUS")
        }
        let configuration = try Self.parse(relay.configuration)
        self.command = command
        containerID = environment["CNI_CONTAINERID"] ?? ""
        namespace = environment["CNI_NETNS"] ?? ""
        interface = environment["CNI_IFNAME"] ?? ""
        let arguments = Self.arguments(environment["CNI_ARGS"] ?? "")
        podNamespace = arguments["K8S_POD_NAMESPACE"] ?? ""
        podName = arguments["K8S_POD_NAME"] ?? ""
        podUID = arguments["K8S_POD_UID"].flatMap { $0.isEmpty ? nil : $0 }
        version = configuration["cniVersion"]?.text ?? "0.1.0"
        excludedCIDRs = try Self.strings(configuration, "excludedCIDRs")
        previousResult = configuration["prevResult"].flatMap { $0 == .null ? nil : $0 }
        validAttachments = try Self.attachments(configuration)
        if command == .delete, namespace.isEmpty, let previousResult {
            // The runtime lost the namespace's path, but its cached result may know where our link went.
            namespace = CNIResult(previousResult, version: version).sandbox(of: CNIResult.tunnelLink) ?? ""
        }
    }

    /// What ADD and CHECK need beyond the syntax.
    ///
    /// - Throws: ``CNIFailure`` that names the variable.
    func requireAttachment() throws {
        let needed = [
            ("CNI_CONTAINERID", containerID), ("CNI_NETNS", namespace), ("CNI_IFNAME", interface),
            ("CNI_ARGS: K8S_POD_NAMESPACE", podNamespace), ("CNI_ARGS: K8S_POD_NAME", podName),
        ]
        for (name, value) in needed where value.isEmpty {
            throw CNIFailure(.environment, "\(name) is not set", details: "\(command.rawValue) needs it")
        }
    }

    private static func parse(_ text: String) throws -> JSONValue {
        do {
            let value = try KubernetesJSON.decode(JSONValue.self, from: Data(text.utf8))
            if case .object = value { return value }
        } catch {
            throw CNIFailure(
                .decoding, "the network configuration is not JSON",
                details: (error as? DecodingError)?.oneLine ?? String(describing: error))
        }
        throw CNIFailure(.decoding, "the network configuration is not a JSON object")
    }

    /// `A=1;B=2`, as the CNI conventions have it; parts without "=" are skipped, as the reference library does.
    static func arguments(_ text: String) -> [String: String] {
        var result: [String: String] = [:]
        for part in text.split(separator: ";") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { result[String(pair[0])] = String(pair[1]) }
        }
        return result
    }

    private static func strings(_ configuration: JSONValue, _ field: String) throws -> [String] {
        // Upstream writes null where there are none.
        guard let value = configuration[field], value != .null else { return [] }
        guard case .array(let items) = value else {
            throw CNIFailure(.configuration, "field \(field) is not an array", details: "an array of CIDRs is allowed")
        }
        return try items.map { item in
            guard let text = item.text else {
                throw CNIFailure(
                    .configuration, "field \(field) holds something that is no string",
                    details: "an array of CIDRs is allowed")
            }
            return text
        }
    }

    private static func attachments(_ configuration: JSONValue) throws -> Set<Attachment>? {
        guard case .array(let items)? = configuration[member: "cni.dev/valid-attachments"] else { return nil }
        return Set(
            try items.map { item in
                guard let id = item["containerID"]?.text, let interface = item["ifname"]?.text else {
                    throw CNIFailure(
                        .configuration, "field cni.dev/valid-attachments: an entry is incomplete",
                        details: "containerID and ifname are needed")
                }
                return Attachment(containerID: id, interface: interface)
            })
    }
}
