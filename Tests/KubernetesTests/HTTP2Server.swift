import Foundation
import Hummingbird
import HummingbirdHTTP2
import Logging
import NIOCore
import NIOSSL
import Synchronization

/// A server that offers HTTP/2 and HTTP/1.1 (ALPN), on a loopback port.
final class HTTP2Server: Sendable {
    struct Seen: Sendable {
        var path: String
        var isHTTP2: Bool
        /// The client's port: tells connections apart.
        var connection: Int
    }

    private struct Context: RequestContext {
        var coreContext: CoreRequestContextStorage
        let channel: any Channel

        init(source: ApplicationRequestContextSource) {
            coreContext = .init(source: source)
            channel = source.channel
        }
    }

    private let requests = Mutexed<[Seen]>([])
    private let port = Mutexed(0)
    private let task: Task<Void, any Error>

    /// - Parameter respond: gives the answer to the n-th request, counted from 0.
    init(
        _ identity: TestAuthority.Identity, _ respond: @escaping @Sendable (Int, Seen) async throws -> Response
    ) async throws {
        let tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(identity.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: identity.key, format: .pem)))
        let (requests, port) = (requests, port)
        let responder = CallbackResponder<Context> { request, context in
            // A stream of HTTP/2 is a channel of its own below the connection's, and that one below the listener's.
            let seen = Seen(
                path: request.uri.description, isHTTP2: context.channel.parent?.parent != nil,
                connection: context.channel.remoteAddress?.port ?? 0)
            var number = 0
            requests.change {
                number = $0.count
                $0.append(seen)
            }
            return try await respond(number, seen)
        }
        let application = Application(
            responder: responder, server: try .http2Upgrade(tlsConfiguration: tls),
            configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: 0), serverName: nil),
            onServerRunning: { channel in port.change { $0 = channel.localAddress?.port ?? 0 } },
            logger: Logger(label: "server") { _ in SwiftLogNoOpLogHandler() })
        task = Task { try await application.run() }
        while port.value == 0 { try await Task.sleep(for: .milliseconds(5)) }
    }

    var address: String { "https://127.0.0.1:\(port.value)" }

    var seen: [Seen] { requests.value }

    func stop() async {
        task.cancel()
        _ = await task.result
    }

    static func json(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
