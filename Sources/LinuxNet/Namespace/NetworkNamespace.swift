import CLinuxShim
import Glibc

/// A network namespace, named by the path of its file. A value: holding one keeps nothing alive; `open()` does.
public struct NetworkNamespace: Sendable, Hashable, CustomStringConvertible {
    /// Where named namespaces live, as iproute2 and container runtimes have it.
    public static let directory = "/run/netns"

    public let path: String

    /// A namespace by its file: a bind mount such as /run/netns/NAME, or /proc/PID/ns/net.
    public init(path: String) {
        self.path = path
    }

    /// The named namespace /run/netns/NAME.
    ///
    /// - Throws: `invalidValue` unless the name is one path component of at most 255 bytes.
    public init(name: String) throws {
        guard (1...255).contains(name.utf8.count), name != ".", name != "..",
            name.utf8.allSatisfy({ $0 != 47 && $0 > 32 && $0 != 127 })
        else {
            throw LinuxNetError.invalid(
                "namespace name", value: name, allowed: "1 to 255 characters without \"/\", space or control characters"
            )
        }
        path = "\(Self.directory)/\(name)"
    }

    /// The namespace of the process: that of its main thread.
    public static let current = NetworkNamespace(path: "/proc/self/ns/net")

    public var description: String { path }

    /// Whether the file is there and is a namespace, not the empty placeholder one is mounted on.
    public var exists: Bool { shim_is_namespace_file(path) == 1 }

    /// Opens the namespace. The result keeps it alive, even when its file is removed.
    ///
    /// - Throws: `namespaceMissing` if the file is not there or is no namespace.
    public func open() throws -> NamespaceHandle {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let failure = errno
            guard failure == ENOENT || failure == ENOTDIR || failure == ESRCH else {
                throw LinuxNetError.system("open network namespace \(path)", errorNumber: failure)
            }
            throw missing(errorNumber: failure)
        }
        let handle = NamespaceHandle(owning: descriptor)
        guard exists else { throw missing(errorNumber: nil) }
        return handle
    }

    private func missing(errorNumber: Int32?) -> LinuxNetError {
        LinuxNetError(
            code: .namespaceMissing, message: "network namespace \(path) does not exist", errorNumber: errorNumber,
            advice: "its pod or owner is gone; treat it as removed")
    }

    /// Runs `body` inside the namespace, on a thread that exists for this call only, so no other code ever sees that
    /// thread. Sockets that `body` opens stay in the namespace. Returns whatever `body` returns; `body` may block.
    @discardableResult
    public func run<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        let handle = try open()
        return try await withCheckedThrowingContinuation { continuation in
            do {
                try DedicatedThread.start {
                    continuation.resume(with: Result { try handle.enterAndRun(body) })
                }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    /// As `run`, for synchronous callers: blocks until `body` has returned. Not for the cooperative thread pool.
    @discardableResult
    public func runBlocking<R: Sendable>(_ body: @escaping @Sendable () throws -> R) throws -> R {
        let handle = try open()
        return try DedicatedThread.runBlocking { try handle.enterAndRun(body) }
    }
}

/// An open namespace; closed when the last reference goes.
public final class NamespaceHandle: Sendable {
    /// Which namespace it is: two handles with equal identities are open on the same one.
    public struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    /// The file descriptor, valid while this object lives. For IFLA_NET_NS_FD and setns(2); the receiver must not
    /// close it.
    public let descriptor: Int32

    init(owning descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// The namespace's identity in the kernel.
    public func identity() throws -> Identity {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            throw LinuxNetError.system("examine a network namespace", errorNumber: errno)
        }
        return Identity(device: UInt64(information.st_dev), inode: UInt64(information.st_ino))
    }

    /// Moves the calling thread into the namespace for the rest of its life. Only for a thread of the caller's own.
    fileprivate func enterAndRun<R>(_ body: () throws -> R) throws -> R {
        guard shim_setns_network(descriptor) == 0 else {
            throw LinuxNetError.system("enter a network namespace", errorNumber: errno)
        }
        return try body()
    }
}

extension NetworkNamespace {
    /// Makes the named namespace, as `ip netns add` does; nothing happens if it exists. Blocks for about a millisecond.
    ///
    /// - Returns: Whether it was made now.
    /// - Throws: `notPermitted` without CAP_SYS_ADMIN; `invalidValue` if the path is not in `directory`.
    @discardableResult
    public func create() throws -> Bool {
        guard path.hasPrefix(Self.directory + "/") else {
            throw LinuxNetError.invalid("namespace path", value: path, allowed: "a file in \(Self.directory)")
        }
        if exists { return false }
        guard mkdir(Self.directory, 0o755) == 0 || errno == EEXIST else {
            throw LinuxNetError.system("create directory \(Self.directory)", errorNumber: errno)
        }
        guard shim_make_mount_shared(Self.directory) == 0 else {
            throw LinuxNetError.system("make \(Self.directory) a shared mount", errorNumber: errno)
        }
        // A placeholder may lie there from a creation that died halfway: mount over it.
        let placeholder = Glibc.open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0)
        guard placeholder >= 0 else {
            throw LinuxNetError.system("create file \(path)", errorNumber: errno)
        }
        close(placeholder)
        try DedicatedThread.runBlocking { [self] in
            guard shim_unshare_network() == 0 else {
                let failure = errno
                unlink(path)
                throw LinuxNetError.system("unshare the network namespace", errorNumber: failure)
            }
            guard shim_bind_mount("/proc/thread-self/ns/net", path) == 0 else {
                let failure = errno
                unlink(path)
                throw LinuxNetError.system("mount the network namespace on \(path)", errorNumber: failure)
            }
        }
        return true
    }

    /// Removes the namespace's name; nothing happens if it is absent. The namespace itself ends when nobody holds it.
    ///
    /// - Returns: Whether a file was removed.
    @discardableResult
    public func delete() throws -> Bool {
        // More than one mount lies here only if two processes created the name at once.
        let mountLimit = 16
        var mounts = 0
        while exists && mounts < mountLimit {
            guard shim_unmount_detach(path) == 0 else {
                guard errno != EINVAL && errno != ENOENT else { break }
                throw LinuxNetError.system("unmount \(path)", errorNumber: errno)
            }
            mounts += 1
        }
        guard unlink(path) == 0 else {
            if errno == ENOENT { return false }
            throw LinuxNetError.system("remove file \(path)", errorNumber: errno)
        }
        return true
    }
}
