import FoundationEssentials
import Glibc

/// The executable that the container runtime starts, as a file on the node.
public enum CNIExecutable {
    static let fileName = "kube-egress-cni"

    /// Puts the executable that lies beside the running program into the runtime's plugin directory, under a name of its
    /// own first: a runtime that starts it meanwhile sees the old one or the new one, whole, and one that runs stays.
    /// Blocks on file IO.
    ///
    /// - Returns: the path it was put to.
    /// - Throws: ``HostError`` with the path and the reason.
    public static func install(into directory: String) throws -> String {
        let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let source = URL(filePath: program).deletingLastPathComponent().appending(path: fileName).path
        return try install(source, into: directory)
    }

    static func install(_ source: String, into directory: String) throws -> String {
        let path = "\(directory)/\(fileName)"
        let temporary = "\(path).\(getpid()).tmp"
        do {
            let contents = try Data(contentsOf: URL(filePath: source))
            if (try? Data(contentsOf: URL(filePath: path))) != contents {
                try contents.write(to: URL(filePath: temporary))
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: temporary)
                guard rename(temporary, path) == 0 else {
                    throw HostError(.unavailable, String(cString: strerror(errno)))
                }
            }
            return path
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            throw HostError(.unavailable, "\(source): cannot be copied to \(path): \(error)")
        }
    }
}
