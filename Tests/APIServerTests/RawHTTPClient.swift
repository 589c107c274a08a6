import NIOCore
import NIOPosix
import NIOSSL

@testable import Lab

/// A minimal HTTP/1.1 client over a real socket, one connection per request, so that tests see the bytes themselves.
struct RawHTTPClient: Sendable {
    enum Address: Sendable {
        case tcp(port: Int)
        case unix(path: String)
        /// HTTPS on 127.0.0.1, checked against the authority in a PEM file, with a bearer token.
        case tls(port: Int, authority: String, token: String)
    }

    struct Answer: Sendable {
        var status: Int
        var headers: [String: String]
        var body: [UInt8]

        var json: APIValue { (try? APIValueParser.parse(body)) ?? .null }
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    let address: Address

    func send(
        _ method: String, _ path: String, _ body: APIValue? = nil, contentType: String = "application/json",
        accept: String = "application/json"
    ) async throws -> Answer {
        try await send(method, path, bytes: body?.encoded() ?? [], contentType: contentType, accept: accept)
    }

    func send(
        _ method: String, _ path: String, bytes: [UInt8], contentType: String, accept: String = "application/json"
    ) async throws -> Answer {
        var received: [UInt8] = []
        try await exchange(request(method, path, bytes, contentType, accept)) { bytes in
            received += bytes
            return true
        }
        return Self.parse(received)
    }

    /// Reads the lines of a watch until `count` have come or the server ends the stream.
    func watch(
        _ path: String, count: Int, accept: String = "application/json",
        onOpen: @escaping @Sendable () async throws -> Void = {}
    ) async throws -> [APIValue] {
        var received: [UInt8] = []
        var isOpen = false
        try await exchange(request("GET", path, [], "", accept)) { bytes in
            received += bytes
            if !isOpen {
                isOpen = true
                try await onOpen()
            }
            return Self.lines(received).count < count
        }
        return Array(Self.lines(received).prefix(count))
    }

    private static func lines(_ received: [UInt8]) -> [APIValue] {
        parse(received).body.split(separator: 0x0A).compactMap { try? APIValueParser.parse(Array($0)) }
    }

    private func request(
        _ method: String, _ path: String, _ body: [UInt8], _ contentType: String, _ accept: String
    ) -> [UInt8] {
        var authorization = ""
        if case .tls(_, _, let token) = address { authorization = "Authorization: Bearer \(token)\r\n" }
        let head = """
            \(method) \(path) HTTP/1.1\r
            Host: lab\r
            \(authorization)Accept: \(accept)\r
            Content-Type: \(contentType)\r
            Content-Length: \(body.count)\r
            Connection: close\r
            \r

            """
        return Array(head.utf8) + body
    }

    private func exchange(
        _ request: [UInt8], _ receive: (ArraySlice<UInt8>) async throws -> Bool
    ) async throws {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        let wrap: @Sendable (any Channel) -> EventLoopFuture<NIOAsyncChannel<ByteBuffer, ByteBuffer>> = { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel(wrappingChannelSynchronously: channel)
            }
        }
        let channel =
            switch address {
            case .tcp(let port):
                try await bootstrap.connect(host: "127.0.0.1", port: port, channelInitializer: wrap)
            case .unix(let path):
                try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: wrap)
            case .tls(let port, let authority, _):
                try await bootstrap.connect(host: "127.0.0.1", port: port) {
                    (channel) -> EventLoopFuture<NIOAsyncChannel<ByteBuffer, ByteBuffer>> in
                    channel.eventLoop.makeCompletedFuture {
                        var configuration = TLSConfiguration.makeClientConfiguration()
                        configuration.trustRoots = .file(authority)
                        let handler = try NIOSSLClientHandler(
                            context: NIOSSLContext(configuration: configuration), serverHostname: nil)
                        try channel.pipeline.syncOperations.addHandler(handler)
                        return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                    }
                }
            }
        try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: request))
            do {
                for try await buffer in inbound where try await !receive(Array(buffer.readableBytesView)[...]) { break }
            } catch NIOSSLError.uncleanShutdown {
                // A Go server closes without TLS's farewell; lengths and chunks say whether the answer is whole.
            }
        }
    }

    static func parse(_ received: [UInt8]) -> Answer {
        let separator = Array("\r\n\r\n".utf8)
        guard let end = received.indices.first(where: { received[$0...].starts(with: separator) }) else {
            return Answer(status: 0, headers: [:], body: [])
        }
        let head = String(decoding: received[..<end], as: UTF8.self).split(separator: "\r\n")
        var headers: [String: String] = [:]
        for line in head.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts.count > 1 ? parts[1].trimmed : ""
        }
        let status = head.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        let rest = received[(end + 4)...]
        let isChunked = headers["transfer-encoding"] == "chunked"
        return Answer(status: status, headers: headers, body: isChunked ? dechunked(rest) : Array(rest))
    }

    private static func dechunked(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var rest = bytes
        var body: [UInt8] = []
        while let lineEnd = rest.firstIndex(of: 0x0D),
            let size = Int(String(decoding: rest[..<lineEnd], as: UTF8.self), radix: 16), size > 0,
            rest.endIndex >= lineEnd + 2 + size
        {
            body += rest[(lineEnd + 2)..<(lineEnd + 2 + size)]
            rest = rest[min(rest.endIndex, lineEnd + 4 + size)...]
        }
        return body
    }
}
