import Foundation
import Glibc
import LinuxNet

/// Removes everything a lab ever made: processes, namespaces with their links, control sockets, files. Works without
/// the supervisor, also after it was killed.
public struct LabCleanup: Sendable {
    private let layout: LabLayout
    private let prefix: String

    /// Where wireguard-go puts its control sockets; compiled into it.
    private static let wireGuardSockets = "/var/run/wireguard"
    /// Programs the lab starts. Others that only name its files, such as an editor, are none of its business.
    private static let programs: Set<String> = [
        "egress-host", "egressctl", "etcd", "kube-apiserver", "library-server", "nginx", "wireguard-go",
    ]

    public init(layout: LabLayout, prefix: String) {
        self.layout = layout
        self.prefix = prefix
    }

    /// Whether anything is left for `run` to do.
    public var isNeeded: Bool {
        FileManager.default.fileExists(atPath: layout.stateFile) || !namespaceNames.isEmpty
    }

    /// Names of the namespaces that are there.
    public var namespaceNames: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: NetworkNamespace.directory)) ?? []
        return names.filter { $0.hasPrefix("\(prefix)-") }.sorted()
    }

    /// State directory of a supervisor that runs with another one than this, if there is one.
    public var foreignStateDirectory: String? {
        let supervisor = ProcessTable.all().first { entry in
            entry.program == "egressctl" && entry.arguments.dropFirst().prefix(2) == ["lab", "serve"]
                && !belongsToLayout(entry)
        }
        guard let arguments = supervisor?.arguments, let option = arguments.firstIndex(of: "--state-dir"),
            option + 1 < arguments.count
        else { return nil }
        return arguments[option + 1]
    }

    /// Ends the supervisor in good order if it runs, then removes what is left.
    ///
    /// - Throws: `system` if something could not be removed, with its name.
    public func run() async throws {
        try await endSupervisor()
        let namespaces = try namespaceNames.map { try NetworkNamespace(name: $0) }
        let ended = try await endProcesses(in: namespaces)
        for namespace in namespaces { try namespace.delete() }
        removeSockets(of: ended)
        try removeFiles()
    }

    /// What is there that `run` would have removed: namespaces, files and processes, one line each.
    public var leftovers: [String] {
        let files = FileManager.default.fileExists(atPath: layout.stateDirectory) ? [layout.stateDirectory] : []
        let processes = ProcessTable.all().filter { Self.programs.contains($0.program) && belongsToLayout($0) }
        return namespaceNames.map { "namespace \($0)" } + files.map { "directory \($0)" }
            + processes.map { "process \($0.identity.pid) (\($0.program))" }
    }

    private func endSupervisor() async throws {
        guard let state = LabState.load(layout.stateFile), state.supervisor.isRunning else { return }
        kill(state.supervisor.pid, SIGTERM)
        if await hasEnded([state.supervisor], within: .seconds(20)) { return }
        kill(state.supervisor.pid, SIGKILL)
        _ = await hasEnded([state.supervisor], within: .seconds(5))
    }

    private func endProcesses(in namespaces: [NetworkNamespace]) async throws -> [ProcessTable.Entry] {
        let inodes = Set(namespaces.compactMap(Self.namespaceText))
        var ended: [ProcessTable.Entry] = []
        for signal in [SIGTERM, SIGKILL] {
            let found = ProcessTable.all().filter { entry in
                entry.identity.pid != getpid()
                    && (inodes.contains(entry.networkNamespace)
                        || (Self.programs.contains(entry.program) && belongsToLayout(entry)))
            }
            if found.isEmpty { break }
            ended += found
            for entry in found { kill(entry.identity.pid, signal) }
            if await hasEnded(found.map(\.identity), within: .seconds(5)) { break }
        }
        return ended
    }

    /// Whether a process names something inside the state directory.
    private func belongsToLayout(_ entry: ProcessTable.Entry) -> Bool {
        entry.identity.pid != getpid()
            && entry.arguments.contains { $0 == layout.stateDirectory || $0.hasPrefix(layout.stateDirectory + "/") }
    }

    /// `net:[INODE]`, as the link /proc/PID/ns/net reads.
    private static func namespaceText(_ namespace: NetworkNamespace) -> String? {
        var information = stat()
        guard stat(namespace.path, &information) == 0 else { return nil }
        return "net:[\(information.st_ino)]"
    }

    private func hasEnded(_ processes: [ProcessIdentity], within limit: Duration) async -> Bool {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        while processes.contains(where: \.isRunning) {
            guard clock.now < deadline else { return false }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return true
    }

    /// Control sockets of the ended wireguard-go processes, and those that nobody listens on.
    private func removeSockets(of ended: [ProcessTable.Entry]) {
        let files = FileManager.default
        for entry in ended where entry.program == "wireguard-go" {
            if let link = entry.arguments.last { unlink("\(Self.wireGuardSockets)/\(link).sock") }
        }
        for name in (try? files.contentsOfDirectory(atPath: Self.wireGuardSockets)) ?? [] {
            let path = "\(Self.wireGuardSockets)/\(name)"
            if name.hasSuffix(".sock"), !Self.isAlive(path) { unlink(path) }
        }
        // Only if it is empty.
        rmdir(Self.wireGuardSockets)
    }

    private static func isAlive(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return true }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return status == 0 || errno != ECONNREFUSED
    }

    /// The state directory is removed only if a lab has put its state file there, or has not got that far.
    private func removeFiles() throws {
        let files = FileManager.default
        guard let contents = try? files.contentsOfDirectory(atPath: layout.stateDirectory),
            contents.isEmpty || contents.contains("lab.json") || contents == ["logs"]
        else { return }
        try files.removeItem(atPath: layout.stateDirectory)
    }
}
