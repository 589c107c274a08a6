import Glibc

/// Whether all threads of this process but the calling one wait: twice in a row, and none of them ran in between
/// (proc(5), `/proc/self/task/TID/status`: `State` and the counts of context switches).
///
/// A thread that is ready counts as running even if the machine is too busy to run it. A byte on its way through a
/// loopback or unix socket makes its reader ready before the writer goes on.
struct ProcessQuiet {
    func isQuiet() -> Bool {
        guard let first = switches() else { return false }
        return switches() == first
    }

    /// Sum of all context switches of the other threads; nil if one of them runs or is ready, or waits for a disk.
    private func switches() -> Int? {
        guard let folder = opendir("/proc/self/task") else { return nil }
        defer { closedir(folder) }
        let own = Self.ownThread()
        var sum = 0
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix("."), name != own else { continue }
            // A thread that ended meanwhile ran.
            guard let text = read("/proc/self/task/\(name)/status"), let count = Self.waitingSwitches(text) else {
                return nil
            }
            sum += count &+ 1
        }
        return sum
    }

    /// The number of the calling thread, as `/proc/thread-self` links to it: `PID/task/TID`.
    private static func ownThread() -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        let length = readlink("/proc/thread-self", &buffer, buffer.count)
        let bytes = buffer.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self).split(separator: "/").last.map(String.init) ?? ""
    }

    /// The context switches of a thread that sleeps; nil if it does not.
    static func waitingSwitches(_ status: String) -> Int? {
        var isAsleep = false
        var count = 0
        for line in status.split(separator: "\n") {
            if line.hasPrefix("State:") {
                isAsleep = line.contains("S (") || line.contains("I (")
            } else if line.hasPrefix("voluntary_ctxt_switches:") || line.hasPrefix("nonvoluntary_ctxt_switches:") {
                count += line.split(separator: "\t").last.flatMap { Int($0) } ?? 0
            }
        }
        return isAsleep ? count : nil
    }

    private func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        var length = 0
        while length < buffer.count {
            let count = buffer.withUnsafeMutableBytes { bytes in
                Glibc.read(file, bytes.baseAddress.map { $0 + length }, bytes.count - length)
            }
            guard count > 0 else { break }
            length += count
        }
        return length > 0 ? String(decoding: buffer[..<length], as: UTF8.self) : nil
    }
}
