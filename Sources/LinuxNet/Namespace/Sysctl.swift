import Glibc

/// Kernel settings below /proc/sys. Those below "net" belong to the network namespace of the calling thread: inside
/// `NetworkNamespace.run` they are that namespace's.
public enum Sysctl {
    /// Writes a setting.
    ///
    /// - Parameters:
    ///   - key: Path below /proc/sys, such as "net/ipv4/ip_forward". Slashes, because interface names may hold dots.
    ///   - value: At most 4096 bytes.
    public static func set(_ key: String, _ value: String) throws {
        let descriptor = try open(key, O_WRONLY)
        defer { close(descriptor) }
        let bytes = Array(value.utf8)
        guard bytes.count <= 4096 else {
            throw LinuxNetError.invalid("sysctl \(key)", value: "\(bytes.count) bytes", allowed: "at most 4096 bytes")
        }
        let written = write(descriptor, bytes, bytes.count)
        guard written == bytes.count else {
            throw LinuxNetError.system("set sysctl \(key) to \"\(value)\"", errorNumber: written < 0 ? errno : EINVAL)
        }
    }

    /// Reads a setting without its final line break.
    public static func get(_ key: String) throws -> String {
        let descriptor = try open(key, O_RDONLY)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &bytes, bytes.count)
        guard count >= 0 else {
            throw LinuxNetError.system("read sysctl \(key)", errorNumber: errno)
        }
        var text = bytes[..<count]
        if text.last == UInt8(ascii: "\n") { text.removeLast() }
        return String(decoding: text, as: UTF8.self)
    }

    private static func open(_ key: String, _ flags: Int32) throws -> Int32 {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard !parts.isEmpty, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
            throw LinuxNetError.invalid("sysctl key", value: key, allowed: "a path such as net/ipv4/ip_forward")
        }
        let descriptor = Glibc.open("/proc/sys/\(key)", flags | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw LinuxNetError.system("open sysctl \(key)", errorNumber: errno)
        }
        return descriptor
    }
}
