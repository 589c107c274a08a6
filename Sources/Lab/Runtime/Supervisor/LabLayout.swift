import Foundation

/// Where the lab finds what it needs and keeps what it makes. Everything it makes lies below `stateDirectory`.
public struct LabLayout: Sendable, Equatable {
    /// Root of the install tree: `bin`, `lib/plugins`, `share`.
    public let installTree: String
    /// Absolute path.
    public let stateDirectory: String

    /// sockaddr_un holds 107 bytes, and servers make their sockets under a temporary name that is a little longer.
    private static let socketPathLimit = 95

    /// - Throws: `invalidInput` if the state directory is not absolute or too long for the sockets in it.
    public init(installTree: String, stateDirectory: String) throws {
        guard stateDirectory.hasPrefix("/"), stateDirectory != "/" else {
            throw LabError(
                code: .invalidInput, message: "state directory \"\(stateDirectory)\" is not allowed",
                advice: "allowed: an absolute path of a directory of its own")
        }
        self.installTree = installTree
        self.stateDirectory = stateDirectory
        guard cniSocket.utf8.count <= Self.socketPathLimit else {
            throw LabError(
                code: .invalidInput, message: "state directory \"\(stateDirectory)\" is too long",
                advice: "allowed: at most \(Self.socketPathLimit - "/worker-1/cni.sock".utf8.count) bytes")
        }
    }

    /// The install tree that this program was started from, with the lab's state inside.
    ///
    /// - Parameter stateDirectory: Nil: `lab` in the install tree.
    public static func standard(stateDirectory: String?) throws -> LabLayout {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let tree = URL(filePath: program).deletingLastPathComponent().deletingLastPathComponent().path
        let state = stateDirectory.map { URL(filePath: $0).standardizedFileURL.path } ?? "\(tree)/lab"
        return try LabLayout(installTree: tree, stateDirectory: state)
    }

    public var hostProgram: String { "\(installTree)/bin/egress-host" }
    public var controlProgram: String { "\(installTree)/bin/egressctl" }
    public var pluginDirectory: String { "\(installTree)/lib/plugins" }
    public var customResourceDefinitions: String { "\(installTree)/share/crds" }
    public var demoManifest: String { "\(installTree)/share/examples/demo.yaml" }
    /// Where CNI plugins are sought: ours, then those of the Debian package containernetworking-plugins.
    public var cniPluginDirectories: [String] { ["\(installTree)/bin", "/usr/lib/cni"] }

    public var stateFile: String { "\(stateDirectory)/lab.json" }
    /// For kubectl, which speaks TCP.
    public var kubeconfig: String { "\(stateDirectory)/kubeconfig" }
    /// For our own programs: the unix socket, which every network namespace reaches.
    public var socketKubeconfig: String { "\(stateDirectory)/kubeconfig-socket" }
    public var controlSocket: String { "\(stateDirectory)/control.sock" }
    public var logDirectory: String { "\(stateDirectory)/logs" }
    public var supervisorLog: String { "\(logDirectory)/lab.log" }
    var apiServerStorage: String { "\(stateDirectory)/apiserver" }
    var apiServerSocket: String { "\(stateDirectory)/apiserver.sock" }
    var cloudConfiguration: String { "\(stateDirectory)/azure.json" }
    var webServerDirectory: String { "\(stateDirectory)/internet" }
    var kubectlCache: String { "\(stateDirectory)/kubectl-cache" }
    var workerDirectory: String { "\(stateDirectory)/\(LabPlan.workerName)" }
    var cniConfigurationDirectory: String { "\(workerDirectory)/net.d" }
    var cniSocket: String { "\(workerDirectory)/cni.sock" }
    /// The list that the node role writes; it takes precedence over the pod network's own.
    var egressConfigurationList: String { "\(cniConfigurationDirectory)/01-egressgateway.conflist" }

    /// What the ConfigMap that announces an uninstallation is in a cluster.
    var uninstallFile: String { "\(workerDirectory)/uninstall" }

    /// Log file of a process of the lab.
    public func log(of process: String) -> String { "\(logDirectory)/\(process).log" }
    /// Socket that a daemon tells its status on.
    func statusSocket(of process: String) -> String { "\(stateDirectory)/\(process).sock" }
    func hostConfiguration(of process: String) -> String { "\(stateDirectory)/\(process).yaml" }

    /// All directories that must exist before anything starts.
    var directories: [String] {
        [stateDirectory, logDirectory, workerDirectory, cniConfigurationDirectory, webServerDirectory]
    }
}
