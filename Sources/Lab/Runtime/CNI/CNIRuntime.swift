import Foundation
import LinuxNet

/// One container's attachment to the pod network.
public struct CNIAttachment: Sendable {
    public var containerID: String
    /// Path of the container's network namespace.
    public var namespacePath: String
    public var interface: String
    public var podNamespace: String
    public var podName: String
    public var podUID: String

    public init(
        containerID: String, namespacePath: String, interface: String = "eth0", podNamespace: String, podName: String,
        podUID: String
    ) {
        self.containerID = containerID
        self.namespacePath = namespacePath
        self.interface = interface
        self.podNamespace = podNamespace
        self.podName = podName
        self.podUID = podUID
    }

    /// `CNI_ARGS` as containerd and CRI-O fill it.
    fileprivate var arguments: String {
        [
            "IgnoreUnknown=1", "K8S_POD_NAMESPACE=\(podNamespace)", "K8S_POD_NAME=\(podName)",
            "K8S_POD_INFRA_CONTAINER_ID=\(containerID)", "K8S_POD_UID=\(podUID)",
        ].joined(separator: ";")
    }
}

/// The error object a plugin printed (CNI specification 1.0.0, section 5), or what stands for it if it printed none.
public struct CNIFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// Plugin type.
    public var plugin: String
    /// `ADD` or `DEL`.
    public var command: String
    /// The plugin's code; 0 if it printed no error object.
    public var code: Int
    public var message: String
    public var details: String

    public var description: String {
        "plugin \(plugin) failed \(command) with code \(code): \(message)\(details.isEmpty ? "" : " (\(details))")"
    }
}

/// What ADD of a list came to.
public struct CNIResult: Sendable {
    let value: APIValue

    /// Addresses with their prefix lengths, in the plugins' order.
    public var addresses: [String] {
        (value["ips"]?.arrayValue ?? []).compactMap { $0["address"]?.stringValue }
    }

    /// The first address without its length.
    public var podIP: String? { addresses.first?.split(separator: "/").first.map(String.init) }
}

/// Executes CNI configuration lists as container runtimes do (libcni): a program per plugin, environment and standard
/// input, results chained from one to the next.
public struct CNIRuntime: Sendable {
    private let configurationDirectory: String
    private let pluginDirectories: [String]
    private let nodeNamespace: NetworkNamespace
    private let cacheDirectory: String

    /// - Parameters:
    ///   - configurationDirectory: Where the lists lie; read anew for each call.
    ///   - pluginDirectories: Where plugins are sought, in order.
    ///   - nodeNamespace: The node's network namespace, which plugins run in.
    ///   - cacheDirectory: Where results of ADD are kept for DEL; made if absent.
    public init(
        configurationDirectory: String, pluginDirectories: [String], nodeNamespace: NetworkNamespace,
        cacheDirectory: String
    ) {
        self.configurationDirectory = configurationDirectory
        self.pluginDirectories = pluginDirectories
        self.nodeNamespace = nodeNamespace
        self.cacheDirectory = cacheDirectory
    }

    /// Attaches a container. On failure what was attached is detached again.
    ///
    /// - Throws: ``CNIFailure`` for a plugin's refusal, ``LabError`` for everything else.
    public func add(_ attachment: CNIAttachment) async throws -> CNIResult {
        let list = try CNIConfigurationList.loadFirst(in: configurationDirectory)
        var previous: APIValue?
        do {
            for index in list.plugins.indices {
                previous = try await execute("ADD", list, index, attachment, previous: previous) ?? previous
            }
        } catch {
            // The reason of the failure is what the caller must hear, not that of the clean-up.
            try? await delete(attachment)
            throw error
        }
        let result = previous ?? .object([:])
        try FileManager.default.createDirectory(atPath: cacheDirectory, withIntermediateDirectories: true)
        try Data(result.encoded()).write(to: URL(filePath: cacheFile(list, attachment)), options: .atomic)
        return CNIResult(value: result)
    }

    /// Detaches a container: every plugin in reverse order, also after one has failed.
    ///
    /// - Throws: The first failure, after all plugins were called.
    public func delete(_ attachment: CNIAttachment) async throws {
        let list = try CNIConfigurationList.loadFirst(in: configurationDirectory)
        let cached = FileManager.default.contents(atPath: cacheFile(list, attachment))
        let previous = cached.flatMap { try? APIValueParser.parse(Array($0)) }
        var failure: (any Error)?
        for index in list.plugins.indices.reversed() {
            do {
                _ = try await execute("DEL", list, index, attachment, previous: previous)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        try? FileManager.default.removeItem(atPath: cacheFile(list, attachment))
    }

    private func cacheFile(_ list: CNIConfigurationList, _ attachment: CNIAttachment) -> String {
        "\(cacheDirectory)/\(list.name)-\(attachment.containerID)-\(attachment.interface)"
    }

    private func execute(
        _ command: String, _ list: CNIConfigurationList, _ index: Int, _ attachment: CNIAttachment,
        previous: APIValue?
    ) async throws -> APIValue? {
        let type = list.pluginTypes[index]
        let environment = [
            "CNI_COMMAND": command, "CNI_CONTAINERID": attachment.containerID, "CNI_NETNS": attachment.namespacePath,
            "CNI_IFNAME": attachment.interface, "CNI_ARGS": attachment.arguments,
            "CNI_PATH": pluginDirectories.joined(separator: ":"),
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        let output = try await ChildProcess.run(
            ChildCommand(try find(type), [], environment: environment, namespace: nodeNamespace),
            input: list.input(of: index, previous: previous, capabilityArguments: [:]), timeout: .seconds(60))
        let answer = try? APIValueParser.parse(output.standardOutput)
        guard output.status.isSuccess else { throw Self.failure(type, command, answer, output) }
        guard command == "ADD", let answer, answer.objectValue != nil else { return nil }
        return answer
    }

    private func find(_ type: String) throws -> String {
        for directory in pluginDirectories where FileManager.default.isExecutableFile(atPath: "\(directory)/\(type)") {
            return "\(directory)/\(type)"
        }
        throw LabError(
            code: .invalidInput,
            message: "CNI plugin \"\(type)\" is not in \(pluginDirectories.joined(separator: ":"))",
            advice: "install it (Debian package containernetworking-plugins) or correct the configuration list")
    }

    private static func failure(
        _ type: String, _ command: String, _ answer: APIValue?, _ output: ChildOutput
    ) -> CNIFailure {
        CNIFailure(
            plugin: type, command: command, code: Int(answer?["code"]?.integerValue ?? 0),
            message: answer?["msg"]?.stringValue
                ?? "\(output.status), \(String(output.errorText.suffix(500)))",
            details: answer?["details"]?.stringValue ?? "")
    }
}
