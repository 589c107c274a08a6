import Glibc
import LinuxNet

/// A small HTTP GET from inside a network namespace, on a thread of its own: what a pod's program would see.
public enum NamespaceHTTP {
    /// Status and body of an answer.
    public struct Answer: Sendable, Equatable {
        public var status: Int
        public var body: String
    }

    /// Fetches `http://ADDRESS:PORT/PATH` over a new connection.
    ///
    /// - Parameters:
    ///   - timeout: For connecting, sending and receiving together.
    /// - Returns: Nil if there was no complete answer in time.
    public static func get(
        from namespace: NetworkNamespace, _ address: IPAddress, port: UInt16, path: String = "/",
        timeout: Duration = .seconds(5)
    ) async throws -> Answer? {
        try await namespace.run {
            fetch(address, port, path, deadline: ContinuousClock().now + timeout)
        }
    }

    /// Bytes of an answer that are read at most.
    private static let answerLimit = 64 << 10

    private static func fetch(
        _ address: IPAddress, _ port: UInt16, _ path: String, deadline: ContinuousClock.Instant
    ) -> Answer? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // SO_SNDTIMEO also bounds connect(2).
        guard limit(descriptor, SO_SNDTIMEO, until: deadline),
            SocketAddress.with(address, port: port, { connect(descriptor, $0, $1) }) == 0
        else { return nil }
        let request = Array("GET \(path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n\r\n".utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return nil }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while answer.count < answerLimit {
            guard limit(descriptor, SO_RCVTIMEO, until: deadline) else { return nil }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 { return nil }
            if count == 0 { break }
            answer += buffer[..<count]
        }
        return parse(String(decoding: answer, as: UTF8.self))
    }

    /// Lets the next blocking call of that kind end at the deadline; false if that has passed.
    private static func limit(_ descriptor: Int32, _ option: Int32, until deadline: ContinuousClock.Instant) -> Bool {
        let rest = (deadline - ContinuousClock().now).components
        guard rest.seconds > 0 || (rest.seconds == 0 && rest.attoseconds > 0) else { return false }
        // Zero would mean for ever.
        var time = timeval(tv_sec: Int(rest.seconds), tv_usec: max(Int(rest.attoseconds / 1_000_000_000_000), 1))
        return setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size)) == 0
    }

    static func parse(_ text: String) -> Answer? {
        guard let split = text.firstRange(of: "\r\n\r\n") else { return nil }
        let statusLine = text.prefix { $0 != "\r\n" }
        let parts = statusLine.split(separator: " ")
        guard parts.count >= 2, parts[0].hasPrefix("HTTP/"), let status = Int(parts[1]) else { return nil }
        return Answer(status: status, body: String(text[split.upperBound...]))
    }
}
