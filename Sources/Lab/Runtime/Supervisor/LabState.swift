import Foundation

/// What the supervisor tells through its state file.
public struct LabState: Sendable, Codable, Equatable {
    public enum Phase: String, Sendable, Codable {
        case starting, ready, stopping, failed
    }

    public var phase: Phase
    /// What is being waited for, or what failed; one line.
    public var step: String
    public var supervisor: ProcessIdentity
    /// Start of the names of the lab's namespaces.
    public var prefix: String
    public var tunnel: LabPlan.TunnelProvider
    public var apiServer: LabPlan.APIServer

    public init(
        phase: Phase, step: String, supervisor: ProcessIdentity, prefix: String, tunnel: LabPlan.TunnelProvider,
        apiServer: LabPlan.APIServer
    ) {
        self.phase = phase
        self.step = step
        self.supervisor = supervisor
        self.prefix = prefix
        self.tunnel = tunnel
        self.apiServer = apiServer
    }

    /// The state that a file holds; nil if there is no such file or it holds something else.
    public static func load(_ path: String) -> LabState? {
        FileManager.default.contents(atPath: path).flatMap { try? JSONDecoder().decode(LabState.self, from: $0) }
    }

    func save(_ path: String) throws {
        try JSONEncoder().encode(self).write(to: URL(filePath: path), options: .atomic)
    }
}

/// What a running lab says of itself when asked.
public struct LabStatus: Sendable, Codable, Equatable {
    public var processes: [DaemonProcess.State]
    public var backends: [Fabric.BackendHealth]
    /// Azure resources that an egress gateway made and has not taken away.
    public var managedResources: [String]
    /// Public prefixes that are allocated, as CIDRs.
    public var prefixes: [String]
    /// Public addresses that instances have, with the instance's node.
    public var publicAddresses: [PublicAddress]
    public var attachments: [PodAttachmentRecord]
}

/// A public address and the node that leaves with it.
public struct PublicAddress: Sendable, Codable, Equatable {
    public var node: String
    public var address: String
}
