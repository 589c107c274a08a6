import FoundationEssentials
import Glibc
import Logging
import NIOCore
import NIOFoundationCompat
import NIOPosix

/// The unix socket that `kube-egress-cni` talks to: one request and one answer per connection.
struct RelayServer: Sendable {
    /// Exchanges at the same time; more wait in the socket's backlog.
    static let maximumConnections = 64

    typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>
    typealias Respond = @Sendable (RelayRequest) async -> RelayResponse

    let path: String
    let logger: Logger
    let respond: Respond
    /// Until a connection has sent its request.
    var readTimeout = Duration.seconds(5)
    /// Until a request is answered; less than the 90 seconds that the executable waits for ADD.
    var answerTimeout = Duration.seconds(80)

    /// Serves until cancelled, then removes the socket, unless a successor has put its own in the place.
    ///
    /// - Parameter onReady: called once the socket accepts connections.
    /// - Throws: ``HostError`` if the socket cannot be made.
    func run(onReady: @Sendable () -> Void = {}) async throws {
        let listener = try await bind()
        let own = Self.file(path)
        defer { if own != nil, Self.file(path) == own { unlink(path) } }
        logger.info("waiting for CNI requests", metadata: ["socket": .string(path)])
        onReady()
        try await listener.executeThenClose { connections in
            await withTaskGroup(of: Void.self) { group in
                var running = 0
                do {
                    for try await connection in connections {
                        if running >= Self.maximumConnections {
                            await group.next()
                            running -= 1
                        }
                        running += 1
                        group.addTask { await serve(connection) }
                    }
                } catch  where !Task.isCancelled {
                    logger.error("CNI socket failed", metadata: ["error": .string(String(describing: error))])
                } catch {
                    // Stopping: exchanges in flight are cancelled, and undo what they began.
                }
            }
        }
    }

    /// Which file lies there now; nil if none.
    private static func file(_ path: String) -> [UInt64]? {
        var information = stat()
        guard lstat(path, &information) == 0 else { return nil }
        return [UInt64(information.st_dev), UInt64(information.st_ino)]
    }

    /// Binds under a temporary name, restricts the file to its owner, and moves it into place: nobody else can connect
    /// in between, and the socket of a daemon that died is replaced in one step.
    private func bind() async throws -> NIOAsyncChannel<Connection, Never> {
        let temporary = path + ".new"
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        if !directory.isEmpty {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        }
        unlink(temporary)
        do {
            let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .serverChannelOption(.backlog, value: 128)
                .bind(unixDomainSocketPath: temporary) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(
                            ByteToMessageHandler(RelayFrameDecoder(), maximumBufferSize: RelayFrame.maximumBytes + 4))
                        try pipeline.addHandler(MessageToByteHandler(RelayFrameEncoder()))
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
            guard chmod(temporary, 0o600) == 0, rename(temporary, path) == 0 else {
                let reason = String(cString: strerror(errno))
                unlink(temporary)
                try? await listener.channel.close()
                throw HostError(.configuration, "node.socketPath: \"\(path)\" cannot be made: \(reason)")
            }
            return listener
        } catch let error as HostError {
            throw error
        } catch {
            throw HostError(.configuration, "node.socketPath: \"\(path)\" cannot be made: \(error)")
        }
    }

    private func serve(_ connection: Connection) async {
        do {
            try await connection.executeThenClose { inbound, outbound in
                let frame = try await within(readTimeout) { () -> ByteBuffer? in
                    for try await frame in inbound { return frame }
                    return nil
                }
                guard let frame else { return }
                let answer = await self.answer(frame)
                let body = try JSONEncoder().encode(answer)
                try await outbound.write(ByteBuffer(bytes: body))
            }
        } catch {
            logger.debug("CNI connection ended", metadata: ["error": .string(String(describing: error))])
        }
    }

    private func answer(_ frame: ByteBuffer) async -> RelayResponse {
        let request: RelayRequest
        do {
            request = try JSONDecoder().decode(RelayRequest.self, from: Data(buffer: frame))
        } catch {
            let failure = CNIFailure(.decoding, "the relay's request is malformed", details: String(describing: error))
            return CNIRequestHandler.failure(failure, version: "1.0.0")
        }
        do {
            return try await within(answerTimeout) { await respond(request) }
        } catch {
            return CNIRequestHandler.failure(CNIRequestHandler.asFailure(error), version: "1.0.0")
        }
    }
}

/// Runs `body`, cancelled once `limit` has passed; what it makes of the cancellation is the result.
func within<R: Sendable>(_ limit: Duration, _ body: @escaping @Sendable () async throws -> R) async throws -> R {
    let work = Task { try await body() }
    let timer = Task {
        try await Task.sleep(for: limit)
        work.cancel()
    }
    defer { timer.cancel() }
    return try await withTaskCancellationHandler {
        try await work.value
    } onCancel: {
        work.cancel()
    }
}
