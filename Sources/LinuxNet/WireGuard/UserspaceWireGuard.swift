// CMnl also shows the C library's socket types, which it includes.
import CMnl
import CSodium
import Glibc

/// A device of a wireguard-go process, spoken to over its control socket. The socket is named after the link's name at
/// creation, whatever the link is called now and wherever it is.
public struct UserspaceWireGuard: WireGuardBackend {
    /// Where wireguard-go puts its control sockets; compiled into it.
    public static let socketDirectory = "/var/run/wireguard"
    /// How long the process may take for one read or write, in seconds.
    private static let timeout = 5
    /// Bytes of one reply: 10,000 peers with a few allowed IPs each stay below.
    private static let maximumReply = 16 * 1024 * 1024

    /// The link's name at creation.
    public let creationName: String

    /// - Throws: `invalidValue` unless it is a link name.
    public init(creationName: String) throws {
        try Link.validate(name: creationName)
        self.creationName = creationName
    }

    /// Path of the control socket.
    public var socketPath: String { "\(Self.socketDirectory)/\(creationName).sock" }

    public func configure(_ configuration: WireGuardConfiguration) throws {
        if configuration.isEmpty { return }
        var request = UserspaceProtocol.setRequest(configuration)
        defer { sodium_memzero(&request, request.count) }
        let connection = try UserspaceConnection(path: socketPath, timeout: Self.timeout)
        try connection.send(request)
        let reply = try connection.receive(maximumBytes: Self.maximumReply)
        try Self.check(reply, "configure WireGuard device \(creationName)")
    }

    public func status() throws -> WireGuardStatus {
        let connection = try UserspaceConnection(path: socketPath, timeout: Self.timeout)
        try connection.send(UserspaceProtocol.getRequest)
        // Holds the private key.
        var reply = try connection.receive(maximumBytes: Self.maximumReply)
        defer { sodium_memzero(&reply, reply.count) }
        try Self.check(reply, "read WireGuard device \(creationName)")
        return try UserspaceProtocol.status(inReply: reply)
    }

    /// The process that listens on the control socket; nil if none does. 0 if it is in another PID namespace.
    public func processIdentifier() throws -> Int32? {
        do {
            return try UserspaceConnection(path: socketPath, timeout: Self.timeout).peerProcess
        } catch let error as LinuxNetError where error.code == .notFound {
            return nil
        }
    }

    /// Devices whose control socket lies there although nobody listens on it: their process was killed.
    public static func abandoned() -> [UserspaceWireGuard] {
        guard let directory = opendir(socketDirectory) else { return [] }
        defer { closedir(directory) }
        var devices: [UserspaceWireGuard] = []
        while let entry = readdir(directory) {
            let file = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            let name = String(file.dropLast(5))
            guard file.hasSuffix(".sock"), TunnelNaming.isCreationName(name),
                let device = try? UserspaceWireGuard(creationName: name)
            else { continue }
            if case .some(.none) = try? device.processIdentifier() { devices.append(device) }
        }
        return devices
    }

    private static func check(_ reply: [UInt8], _ operation: String) throws {
        let number = try UserspaceProtocol.errorNumber(inReply: reply)
        if number != 0 { throw LinuxNetError.system(operation, errorNumber: number) }
    }
}

/// One connection to a control socket, closed when the last reference goes. Used by one thread at a time.
final class UserspaceConnection {
    private let descriptor: Int32
    private let path: String

    /// - Throws: `notFound` if nobody listens there.
    init(path: String, timeout: Int) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw LinuxNetError.invalid("control socket", value: path, allowed: "a path of at most 107 bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LinuxNetError.system("open a unix socket", errorNumber: errno) }
        var limit = timeval(tv_sec: timeout, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard code == 0 else {
            // A file that nobody listens on any more is as good as none.
            let failure = errno == ECONNREFUSED ? ENOENT : errno
            close(descriptor)
            throw LinuxNetError.system("connect to \(path)", errorNumber: failure)
        }
        self.descriptor = descriptor
        self.path = path
    }

    deinit {
        close(descriptor)
    }

    /// The process that listens, or 0 if it is in another PID namespace.
    var peerProcess: Int32 {
        // struct ucred: pid, uid, gid.
        var credentials: (pid: Int32, user: UInt32, group: UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return 0 }
        return credentials.pid
    }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(truncatingIfNeeded: MSG_NOSIGNAL))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                throw LinuxNetError.system("write to \(path)", errorNumber: errno)
            }
        }
    }

    /// Reads up to the empty line that ends a reply.
    func receive(maximumBytes: Int) throws -> [UInt8] {
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        defer { sodium_memzero(&buffer, buffer.count) }
        while !reply.suffix(2).elementsEqual(UserspaceProtocol.replyEnd) {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 {
                guard reply.count + count <= maximumBytes else {
                    throw LinuxNetError.malformedReply("a WireGuard control reply of more than \(maximumBytes) bytes")
                }
                append(buffer[..<count], to: &reply)
            } else if count == 0 {
                throw LinuxNetError.system("read from \(path)", errorNumber: ENOENT)
            } else if errno != EINTR {
                throw LinuxNetError.system("read from \(path)", errorNumber: errno)
            }
        }
        return reply
    }

    /// Appends, and wipes the old storage if the bytes have to move: a reply holds the private key.
    private func append(_ bytes: ArraySlice<UInt8>, to reply: inout [UInt8]) {
        if reply.count + bytes.count > reply.capacity {
            var grown: [UInt8] = []
            grown.reserveCapacity(2 * (reply.count + bytes.count))
            grown += reply
            sodium_memzero(&reply, reply.count)
            reply = grown
        }
        reply += bytes
    }
}
