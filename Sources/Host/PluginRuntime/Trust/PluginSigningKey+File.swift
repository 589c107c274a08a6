import CSodium
import Glibc

extension PluginSigningKey {
    private static let maximumFileBytes = 1 << 12

    /// Reads a file that ``write(to:)`` wrote.
    ///
    /// - Throws: ``HostError`` also if others than the owner may read it.
    public convenience init(file path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw HostError(.configuration, "\(path): cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_mode & (S_IRWXG | S_IRWXO) == 0
        else {
            throw HostError(
                .configuration, "\(path): must be a file that only its owner may read, chmod 600 \(path)")
        }
        var text = [UInt8](repeating: 0, count: Self.maximumFileBytes)
        defer { sodium_memzero(&text, text.count) }
        let count = Glibc.read(descriptor, &text, text.count)
        do {
            try self.init(pem: String(decoding: text.prefix(max(0, count)), as: UTF8.self))
        } catch let error as HostError {
            throw HostError(error.code, "\(path): \(error.message)")
        }
    }

    /// Writes the secret key into a new file that only its owner may read. A file that is there stays as it is.
    public func write(to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw HostError(.configuration, "\(path): cannot be made: \(String(cString: strerror(errno)))")
        }
        var text = Array(pem.utf8)
        defer { sodium_memzero(&text, text.count) }
        // Shorter than a page, so it is written in one piece or not at all.
        let count = Glibc.write(descriptor, text, text.count)
        let code = errno
        close(descriptor)
        guard count == text.count else {
            unlink(path)
            throw HostError(.configuration, "\(path): cannot be written: \(String(cString: strerror(code)))")
        }
    }
}
