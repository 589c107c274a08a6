import Glibc
import LinuxNet

/// One HTTP probe under way: a non-blocking socket from connect to the status line. Belongs to the prober's thread.
struct ProbeConnection: ~Copyable {
    enum Progress {
        case waiting
        /// Over; true means that the answer was 200.
        case finished(Bool)
    }

    let target: ProbeTarget
    let deadline: ContinuousClock.Instant
    /// -1 if the socket could not be had.
    let descriptor: Int32
    private var isConnected = false
    private var answer: [UInt8] = []

    /// Enough for "HTTP/1.1 200".
    private static let statusLength = 12

    /// Starts connecting from `source`, in the network namespace of the calling thread.
    init(_ target: ProbeTarget, from source: IPAddress, now: ContinuousClock.Instant) {
        self.target = target
        deadline = now + target.timeout
        descriptor = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        _ = SocketAddress.with(source, port: 0) { bind(descriptor, $0, $1) }
        _ = SocketAddress.with(target.address, port: target.port) { connect(descriptor, $0, $1) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// What poll(2) should wait for.
    var wantedEvents: Int16 { Int16(isConnected ? POLLIN : POLLOUT) }

    /// Goes on after poll(2) reported something for the socket.
    mutating func advance() -> Progress {
        isConnected ? receive() : sendRequest()
    }

    private mutating func sendRequest() -> Progress {
        var failure: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length) == 0, failure == 0 else {
            return .finished(false)
        }
        let request = Array(
            "GET \(target.path) HTTP/1.1\r\nHost: \(target.address):\(target.port)\r\nConnection: close\r\n\r\n".utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            return .finished(false)
        }
        isConnected = true
        return .waiting
    }

    private mutating func receive() -> Progress {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0 && (errno == EAGAIN || errno == EINTR) { return .waiting }
        guard count > 0 else { return .finished(false) }
        answer += buffer[..<count]
        guard answer.count >= Self.statusLength else { return .waiting }
        return .finished(Self.isSuccess(answer))
    }

    /// Whether an answer's first line carries status 200, the only one Azure takes for healthy.
    static func isSuccess(_ answer: [UInt8]) -> Bool {
        let line = String(decoding: answer.prefix(statusLength), as: UTF8.self)
        return line.hasPrefix("HTTP/1.") && line.hasSuffix(" 200")
    }
}

/// Socket addresses for calls that take `sockaddr`.
enum SocketAddress {
    /// Calls `body` with an IPv4 address and port.
    static func with<R>(
        _ address: IPAddress, port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        var value = sockaddr_in()
        value.sin_family = sa_family_t(AF_INET)
        value.sin_port = port.bigEndian
        value.sin_addr.s_addr = (address.ipv4Bits ?? 0).bigEndian
        return withUnsafePointer(to: &value) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
