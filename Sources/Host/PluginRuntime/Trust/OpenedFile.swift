import FoundationEssentials
import Glibc

/// A file by device and inode.
struct FileIdentity: Sendable, Hashable {
    var device: UInt64
    var inode: UInt64
}

/// A regular file, opened once; whatever happens to its path, this stays the same file. Closed with the last reference.
final class OpenedFile: Sendable {
    /// Without symbolic links.
    let path: String
    let identity: FileIdentity
    let size: Int
    private let descriptor: Int32
    private let subject: String
    /// When it was opened.
    private let stamp: Stamp

    /// What changes when somebody writes; the last two cannot be set back by the writer.
    private struct Stamp: Equatable {
        var size: Int
        var modified: [Int]
        var changed: [Int]

        init(_ status: stat) {
            size = Int(status.st_size)
            modified = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
            changed = [status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
        }
    }

    /// - Parameters:
    ///   - subject: begins every message.
    ///   - what: the file in words.
    ///   - limit: the largest size in bytes.
    /// - Throws: ``HostError`` if it is absent, no regular file, too large, or breaks the rules.
    init(_ asked: String, _ rules: OwnershipRules, limit: Int, subject: String, what: String) throws {
        path = try rules.resolve(asked, subject: subject)
        // Without O_NONBLOCK a FIFO that stands there would hold the daemon for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { throw OwnershipRules.systemError(errno, subject) }
        self.descriptor = descriptor
        self.subject = subject
        var status = stat()
        let result = fstat(descriptor, &status)
        let code = errno
        identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        size = Int(status.st_size)
        stamp = Stamp(status)
        guard result == 0 else { throw OwnershipRules.systemError(code, subject) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw HostError(.plugin, "\(subject): is not a regular file")
        }
        try rules.check(status, "\(what) \(path)", path, subject)
        guard size <= limit else {
            throw HostError(.plugin, "\(subject): has \(size) bytes; at most \(limit) are allowed")
        }
    }

    deinit { close(descriptor) }

    /// Gives the whole content to `body`, in pieces of up to 1 MiB.
    ///
    /// - Throws: ``HostError`` if it cannot be read, or changes meanwhile.
    func read(_ body: (UnsafeRawBufferPointer) -> Void) throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while offset < size {
            let count = pread(descriptor, &buffer, min(buffer.count, size - offset), off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw count < 0 ? OwnershipRules.systemError(errno, subject) : changed()
            }
            buffer.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += count
        }
        try requireUnchanged()
    }

    func content() throws -> Data {
        var data = Data()
        try read { data.append(contentsOf: $0) }
        return data
    }

    /// 64 lower-case hexadecimal digits.
    func sha256() throws -> String {
        var digest = SHA256Digest()
        try read { digest.update($0) }
        return hexadecimal(digest.finish())
    }

    /// - Throws: ``HostError`` if somebody wrote to the file since it was opened.
    func requireUnchanged() throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0, Stamp(status) == stamp else { throw changed() }
    }

    private func changed() -> HostError {
        HostError(.plugin, "\(subject): was changed while it was being checked; start again when it is complete")
    }

    /// Whether the memory at `address` is a mapping of this file.
    ///
    /// Compares what the kernel lists for a mapping of our own with what it lists for `address`: on an overlay both
    /// show the layer's file, while `fstat` shows the overlay's.
    func isMapped(at address: UnsafeRawPointer) throws -> Bool {
        let length = max(1, Int(sysconf(Int32(_SC_PAGESIZE))))
        guard let page = mmap(nil, length, PROT_READ, MAP_PRIVATE, descriptor, 0), page != MAP_FAILED else {
            throw OwnershipRules.systemError(errno, subject)
        }
        defer { munmap(page, length) }
        let mappings = try Self.mappings(subject)
        let own = mappings.first { $0.range.contains(UInt(bitPattern: page)) }
        let other = mappings.first { $0.range.contains(UInt(bitPattern: address)) }
        guard let own, let other else { return false }
        return own.file == other.file
    }

    /// A line of `/proc/self/maps` (proc_pid_maps(5)) that has a file.
    private struct Mapping {
        var range: Range<UInt>
        /// Device and inode as the kernel prints them.
        var file: String
    }

    private static func mappings(_ subject: String) throws -> [Mapping] {
        let descriptor = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw OwnershipRules.systemError(errno, "\(subject): /proc/self/maps") }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw OwnershipRules.systemError(errno, "\(subject): /proc/self/maps") }
            if count == 0 { break }
            text += buffer[..<count]
        }
        return text.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
                .map { String(decoding: $0, as: UTF8.self) }
            guard fields.count >= 5, fields[4] != "0" else { return nil }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[0] < ends[1] else { return nil }
            return Mapping(range: ends[0]..<ends[1], file: "\(fields[3]) \(fields[4])")
        }
    }
}
