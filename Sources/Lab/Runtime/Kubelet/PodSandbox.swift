import Foundation
import Kubernetes
import LinuxNet

/// A pod's network namespace. A pod of the lab has no container process: its namespace is all there is of it, and
/// commands are run in that.
struct PodSandbox: Sendable {
    let podUID: String
    let attachment: CNIAttachment
    let namespace: NetworkNamespace

    /// - Throws: `invalidValue` if the names do not make a namespace name.
    init(_ pod: Pod, plan: LabPlan) throws {
        podUID = pod.metadata.uid
        namespace = try NetworkNamespace(
            name: plan.namespace(ofPod: pod.metadata.name, in: pod.metadata.namespace))
        attachment = CNIAttachment(
            containerID: Self.containerID(uid: pod.metadata.uid), namespacePath: namespace.path,
            podNamespace: pod.metadata.namespace, podName: pod.metadata.name, podUID: pod.metadata.uid)
    }

    /// 64 hexadecimal digits, as container runtimes make them; the same for the same pod.
    static func containerID(uid: String) -> String {
        var state: UInt64 = 0xcbf2_9ce4_8422_2325
        var text = ""
        // FNV-1a over the UID and a counter.
        for round: UInt8 in 0..<4 {
            for byte in Array(uid.utf8) + [round] { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
            let digits = String(state, radix: 16)
            text += String(repeating: "0", count: 16 - digits.count) + digits
        }
        return text
    }

    /// Makes the namespace with its loopback up.
    func create() async throws {
        let namespace = namespace
        try await NetworkNamespace.current.run {
            // What is left of an earlier pod of this name is not this pod's.
            try namespace.delete()
            try namespace.create()
        }
        try await namespace.run {
            let socket = try RouteSocket()
            try socket.setUp(true, index: socket.requireLink(named: "lo").index)
        }
    }

    func remove() async throws {
        let namespace = namespace
        try await NetworkNamespace.current.run { _ = try namespace.delete() }
    }
}

/// How one pod's network was set up; for measuring.
public struct PodAttachmentRecord: Sendable, Codable, Equatable {
    public var namespace: String
    public var name: String
    /// When the container runtime called ADD, in seconds since 1970.
    public var addStarted: Double
    /// How long the whole list took, in seconds.
    public var addSeconds: Double
    public var podIP: String
}
