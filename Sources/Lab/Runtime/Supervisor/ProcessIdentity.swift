import Foundation
import Glibc

/// A process that cannot be taken for another one that has its number later.
public struct ProcessIdentity: Sendable, Codable, Equatable {
    public var pid: Int32
    /// Clock ticks between the machine's start and the process's (proc(5), stat field 22).
    public var startTicks: UInt64

    /// The running process of that number; nil if there is none, or only a zombie.
    public init?(running pid: Int32) {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
        // The name in parentheses may hold anything; the fields start after the last one.
        let text = String(decoding: data, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", let ticks = UInt64(fields[19]) else { return nil }
        self.pid = pid
        startTicks = ticks
    }

    /// This process.
    public static var current: ProcessIdentity? { ProcessIdentity(running: getpid()) }

    public var isRunning: Bool { ProcessIdentity(running: pid) == self }
}

/// Looking at all processes through /proc.
enum ProcessTable {
    struct Entry {
        let identity: ProcessIdentity
        /// Base name of the program file.
        let program: String
        let arguments: [String]
        /// Device and inode of its network namespace, as `/proc/PID/ns/net` names it.
        let networkNamespace: String
    }

    /// Every process that can be examined. Kernel threads have no program and are left out.
    static func all() -> [Entry] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap(Int32.init).compactMap(entry)
    }

    private static func entry(_ pid: Int32) -> Entry? {
        let files = FileManager.default
        guard let identity = ProcessIdentity(running: pid),
            let program = try? files.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe"),
            let namespace = try? files.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/net")
        else { return nil }
        let arguments = (files.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()).split(separator: 0)
        return Entry(
            identity: identity, program: URL(filePath: program).lastPathComponent,
            arguments: arguments.map { String(decoding: $0, as: UTF8.self) }, networkNamespace: namespace)
    }
}
