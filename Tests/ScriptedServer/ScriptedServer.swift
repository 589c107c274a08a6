import Foundation
import Glibc
import Synchronization

/// A request as the scripted server saw it on its socket.
public struct SeenRequest: Sendable {
    /// Method, such as `GET`.
    public let method: String
    /// Path and query as sent.
    public let target: String
    /// Header fields by lower-case name.
    public let headers: [String: String]
    /// Body as text.
    public let body: String

    /// The query parameters, still percent-encoded.
    public var query: [String: String] {
        guard let mark = target.firstIndex(of: "?") else { return [:] }
        let pairs = target[target.index(after: mark)...].split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1)
            return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
        return Dictionary(pairs) { $1 }
    }
}

/// What the server does with one request, in order.
public enum Step: Sendable {
    /// Sends bytes as they are.
    case send(String)
    /// Sends one chunk of a chunked body.
    case chunk(String)
    /// Tells the test how far the script is: the client took what came before, or the kernel's buffers did.
    case reached(@Sendable () -> Void)
    /// Sleeps.
    case pause(Double)
    /// Ends a chunked body in order and keeps the connection.
    case endChunks
    /// Closes the connection.
    case close
}

extension Step {
    /// A whole answer.
    public static func answer(
        _ status: Int = 200, _ body: String, type: String = "application/json", headers: [String] = []
    ) -> [Step] {
        let lines = ["HTTP/1.1 \(status) X", "Content-Type: \(type)", "Content-Length: \(body.utf8.count)"] + headers
        return [.send(lines.joined(separator: "\r\n") + "\r\n\r\n" + body)]
    }

    /// The head of a watch; chunks follow.
    public static func watchHead(type: String = "application/json") -> Step {
        .send("HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nTransfer-Encoding: chunked\r\n\r\n")
    }

    /// A `metav1.Status` that says no.
    public static func status(_ code: Int, _ reason: String, headers: [String] = []) -> [Step] {
        answer(code, Self.statusBody(code, reason), headers: headers)
    }

    /// The JSON of a `metav1.Status`.
    public static func statusBody(_ code: Int, _ reason: String) -> String {
        #"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"because","#
            + #""reason":"\#(reason)","code":\#(code)}"#
    }
}

/// An HTTP server that plays a script on real sockets: one thread per connection, answers in bytes chosen by the test.
public final class ScriptedServer: Sendable {
    /// Gives the steps for the n-th request, counted from 0.
    public typealias Script = @Sendable (Int, SeenRequest) -> [Step]

    private struct State {
        var requests: [SeenRequest] = []
        var connections: Set<Int32> = []
        var isStopped = false
    }

    /// Where it listens, as a client is told.
    public let address: String
    private let listener: Int32
    private let socketPath: String?
    private let script: Script
    private let state = Mutex(State())

    /// Listens on a free port of 127.0.0.1, or on a unix socket at the path.
    public init(unixSocket path: String? = nil, _ script: @escaping Script) throws {
        self.script = script
        socketPath = path
        if let path {
            listener = try Self.listen(unix: path)
            address = "http+unix://" + path.replacingOccurrences(of: "/", with: "%2F")
        } else {
            let (descriptor, port) = try Self.listenTCP()
            listener = descriptor
            address = "http://127.0.0.1:\(port)"
        }
        Thread.detachNewThread { [self] in acceptLoop() }
    }

    /// All requests so far.
    public var requests: [SeenRequest] { state.withLock { $0.requests } }

    /// How many connections a client holds now.
    public var openConnections: Int { state.withLock { $0.connections.count } }

    /// Ends all connections; a second call does nothing.
    public func stop() {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.isStopped = true
            // Under the lock, because a descriptor that was closed may by now be another test's.
            for descriptor in state.connections { shutdown(descriptor, Int32(SHUT_RDWR)) }
            shutdown(listener, Int32(SHUT_RDWR))
            if let socketPath { unlink(socketPath) }
        }
    }

    private func acceptLoop() {
        while true {
            let connection = accept(listener, nil, nil)
            let goesOn = state.withLock { state in
                if connection >= 0, !state.isStopped { state.connections.insert(connection) }
                return connection >= 0 && !state.isStopped
            }
            guard goesOn else {
                close(listener)
                return
            }
            Thread.detachNewThread { [self] in
                serve(connection)
                state.withLock { state in
                    state.connections.remove(connection)
                    close(connection)
                }
            }
        }
    }

    private func serve(_ connection: Int32) {
        var buffer: [UInt8] = []
        while let request = Self.readRequest(connection, &buffer) {
            let number = state.withLock { state in
                state.requests.append(request)
                return state.requests.count - 1
            }
            for step in script(number, request) {
                switch step {
                case .send(let text): guard Self.write(connection, text) else { return }
                case .chunk(let text):
                    let size = String(text.utf8.count, radix: 16)
                    guard Self.write(connection, "\(size)\r\n\(text)\r\n") else { return }
                case .endChunks: guard Self.write(connection, "0\r\n\r\n") else { return }
                case .reached(let tell): tell()
                case .pause(let seconds): Thread.sleep(forTimeInterval: seconds)
                case .close: return
                }
            }
        }
    }

    private static func readRequest(_ connection: Int32, _ buffer: inout [UInt8]) -> SeenRequest? {
        let separator = Array("\r\n\r\n".utf8)
        while true {
            if let head = buffer.firstRange(of: separator) {
                let lines = String(decoding: buffer[..<head.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
                let first = lines[0].split(separator: " ")
                let headers = lines.dropFirst().compactMap { line -> (String, String)? in
                    guard let colon = line.firstIndex(of: ":") else { return nil }
                    let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
                    return (line[..<colon].lowercased(), value)
                }
                let fields = Dictionary(headers) { $1 }
                let length = fields["content-length"].flatMap { Int($0) } ?? 0
                if buffer.count >= head.upperBound + length, first.count >= 2 {
                    let body = String(decoding: buffer[head.upperBound..<head.upperBound + length], as: UTF8.self)
                    buffer.removeFirst(head.upperBound + length)
                    return SeenRequest(
                        method: String(first[0]), target: String(first[1]), headers: fields, body: body)
                }
            }
            var piece = [UInt8](repeating: 0, count: 65536)
            let count = recv(connection, &piece, piece.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            buffer += piece[..<count]
        }
    }

    private static func write(_ connection: Int32, _ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { part in
                Glibc.send(connection, part.baseAddress, part.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private static func listenTCP() throws -> (Int32, UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 && Glibc.listen(descriptor, 64) == 0
                    && getsockname(descriptor, generic, &length) == 0
            }
        }
        guard descriptor >= 0, isListening else { throw POSIXError(.EADDRNOTAVAIL) }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    private static func listen(unix path: String) throws -> Int32 {
        unlink(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix(107)) }
        let isListening = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                    && Glibc.listen(descriptor, 64) == 0
            }
        }
        guard descriptor >= 0, isListening else { throw POSIXError(.EADDRNOTAVAIL) }
        return descriptor
    }
}

/// Waits until the condition holds, 10 s at most; returns whether it does.
public func eventually(_ condition: () async -> Bool) async -> Bool {
    for _ in 0..<2000 {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return await condition()
}
