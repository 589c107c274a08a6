import Glibc
import LinuxNet
import Synchronization

@testable import Lab

/// Small blocking sockets for tests, opened in the calling thread's namespace. Servers run on detached threads that
/// end with their socket or with the process.
enum TestServers {
    /// A listening socket that can be closed for good.
    final class Listener: Sendable {
        private let descriptor: Mutex<Int32>
        init(_ descriptor: Int32) { self.descriptor = Mutex(descriptor) }

        /// Refuses connections from now on.
        func stop() {
            descriptor.withLock {
                guard $0 >= 0 else { return }
                shutdown($0, Int32(SHUT_RDWR))
                close($0)
                $0 = -1
            }
        }
    }

    /// Answers every HTTP request with 200.
    static func startHealth(port: UInt16) throws -> Listener {
        try listen(port: port) { _ in "ok" }
    }

    /// Answers every HTTP request with the client's address.
    static func startSourceEcho(port: UInt16) throws -> Listener {
        try listen(port: port) { $0.description }
    }

    private static func listen(port: UInt16, body: @escaping @Sendable (IPAddress) -> String) throws -> Listener {
        let descriptor = try makeSocket(Int32(SOCK_STREAM.rawValue))
        try bind(descriptor, IPAddress(ipv4: 0), port)
        guard Glibc.listen(descriptor, 16) == 0 else { throw LinuxNetError.system("listen", errorNumber: errno) }
        try startThread {
            while true {
                var peer = sockaddr_in()
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                let connection = withUnsafeMutablePointer(to: &peer) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { accept(descriptor, $0, &length) }
                }
                guard connection >= 0 else { return }
                var request = [UInt8](repeating: 0, count: 1024)
                _ = recv(connection, &request, request.count, 0)
                let text = body(IPAddress(ipv4: UInt32(bigEndian: peer.sin_addr.s_addr)))
                let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)".utf8)
                _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
                close(connection)
            }
        }
        return Listener(descriptor)
    }

    /// Answers every datagram with `text`.
    static func startDatagramAnswer(address: String, port: UInt16, text: String) throws {
        let descriptor = try makeSocket(Int32(SOCK_DGRAM.rawValue))
        try bind(descriptor, IPAddress(parsing: address), port)
        try startThread {
            while true {
                var buffer = [UInt8](repeating: 0, count: 64)
                var peer = sockaddr()
                var length = socklen_t(MemoryLayout<sockaddr>.size)
                guard recvfrom(descriptor, &buffer, buffer.count, 0, &peer, &length) >= 0 else { return }
                _ = sendto(descriptor, text, text.utf8.count, 0, &peer, length)
            }
        }
    }

    /// Sends one datagram from each port and collects who answered within half a second.
    static func ask(_ address: String, port: UInt16, from ports: Range<UInt16>) throws -> [UInt16: String] {
        var answers: [UInt16: String] = [:]
        var sockets: [UInt16: Int32] = [:]
        defer { sockets.values.forEach { close($0) } }
        for source in ports {
            let descriptor = try makeSocket(Int32(SOCK_DGRAM.rawValue))
            sockets[source] = descriptor
            try bind(descriptor, IPAddress(ipv4: 0), source)
            setTimeout(descriptor, milliseconds: 500)
            let target = try IPAddress(parsing: address)
            _ = SocketAddress.with(target, port: port) { connect(descriptor, $0, $1) }
            _ = send(descriptor, "?", 1, 0)
        }
        for (source, descriptor) in sockets {
            var buffer = [UInt8](repeating: 0, count: 64)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 { answers[source] = String(decoding: buffer[..<count], as: UTF8.self) }
        }
        return answers
    }

    /// The body of an HTTP answer; nil if there was none within a second.
    static func fetch(_ address: String, port: UInt16, from source: String) throws -> String? {
        let descriptor = try makeSocket(Int32(SOCK_STREAM.rawValue))
        defer { close(descriptor) }
        try bind(descriptor, IPAddress(parsing: source), 0)
        setTimeout(descriptor, milliseconds: 1000)
        let target = try IPAddress(parsing: address)
        guard SocketAddress.with(target, port: port, { connect(descriptor, $0, $1) }) == 0 else { return nil }
        _ = send(descriptor, "GET / HTTP/1.0\r\n\r\n", 18, Int32(MSG_NOSIGNAL))
        var answer = [UInt8](repeating: 0, count: 1024)
        let count = recv(descriptor, &answer, answer.count, 0)
        guard count > 0 else { return nil }
        return String(decoding: answer[..<count], as: UTF8.self).split(separator: "\r\n").last.map(String.init)
    }

    private static func setTimeout(_ descriptor: Int32, milliseconds: Int) {
        var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    private static func makeSocket(_ type: Int32) throws -> Int32 {
        let descriptor = socket(AF_INET, type | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LinuxNetError.system("open a socket", errorNumber: errno) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }

    private static func bind(_ descriptor: Int32, _ address: IPAddress, _ port: UInt16) throws {
        guard SocketAddress.with(address, port: port, { Glibc.bind(descriptor, $0, $1) }) == 0 else {
            throw LinuxNetError.system("bind to \(address):\(port)", errorNumber: errno)
        }
    }

    private static func startThread(_ body: @escaping @Sendable () -> Void) throws {
        final class Work: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(body))
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        guard code == 0 else { throw LinuxNetError.system("start a thread", errorNumber: code) }
        pthread_detach(thread)
    }
}
