import FoundationEssentials
import Glibc
import Logging
import ProviderKit
import Synchronization

/// The secrets of one instance: read from their files when they are asked for, and blotted out of what the plugin says.
final class SecretStore: Sendable {
    /// What stands in the place of a secret.
    static let blot = "[secret]"
    /// Shorter values are too common to be blotted out of ordinary text.
    private static let minimumBlottedBytes = 4
    /// Values of one secret that are remembered: the present one and those before its last rotations.
    private static let maximumRemembered = 3

    /// Paths by name, from the entry's `secrets` in `host.yaml`.
    private let files: [String: String]
    private let maximumBytes: Int
    private let logger: Logger
    private let seen = Mutex<[String: [String]]>([:])

    init(files: [String: String], maximumBytes: Int, logger: Logger) {
        self.files = files
        self.maximumBytes = maximumBytes
        self.logger = logger
    }

    /// The present bytes of a secret. Reads a small local file.
    ///
    /// - Returns: ok and the bytes; invalid for a name that the entry does not have; retry if the file cannot be read,
    ///   or could be read by everybody; terminal if it is too large.
    func read(_ name: String) -> (ResultCode, Data) {
        guard let path = files[name] else { return (.invalid, Data()) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return refuse(name, path, String(cString: strerror(errno))) }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return refuse(name, path, String(cString: strerror(errno))) }
        guard status.st_mode & S_IFMT == S_IFREG else { return refuse(name, path, "is not a regular file") }
        guard status.st_mode & S_IROTH == 0 else {
            return refuse(name, path, "its mode lets everybody read it; allowed are owner and group")
        }
        var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { return refuse(name, path, String(cString: strerror(errno))) }
            if got == 0 { break }
            count += got
        }
        guard count <= maximumBytes else {
            logger.error(
                "secret is too large",
                metadata: ["secret": .string(name), "file": .string(path), "maximum": .stringConvertible(maximumBytes)])
            return (.terminal, Data())
        }
        remember(name, String(decoding: bytes[..<count], as: UTF8.self))
        return (.ok, Data(bytes[..<count]))
    }

    private func refuse(_ name: String, _ path: String, _ problem: String) -> (ResultCode, Data) {
        logger.warning(
            "secret cannot be read",
            metadata: ["secret": .string(name), "file": .string(path), "problem": .string(problem)])
        return (.retry, Data())
    }

    private func remember(_ name: String, _ text: String) {
        // Files often end with a newline that the plugin drops.
        let value = text.trimmingSpace
        guard value.utf8.count >= Self.minimumBlottedBytes else { return }
        seen.withLock { seen in
            var values = seen[name, default: []]
            guard values.last != value else { return }
            values.removeAll { $0 == value }
            values.append(value)
            seen[name] = values.suffix(Self.maximumRemembered)
        }
    }

    /// `text` without the secrets that were read.
    func blotted(_ text: String) -> String {
        let values = seen.withLock { $0.values.flatMap { $0 } }
        guard !values.isEmpty else { return text }
        // The longest first: one secret may be a part of another.
        return values.sorted { $0.utf8.count > $1.utf8.count }.reduce(text) { $0.replacing($1, with: Self.blot) }
    }

    /// Forgets what was read, when the instance has ended.
    func forget() { seen.withLock { $0 = [:] } }
}

extension String {
    fileprivate var trimmingSpace: String {
        let start = drop { $0.isWhitespace }
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...last])
    }
}
