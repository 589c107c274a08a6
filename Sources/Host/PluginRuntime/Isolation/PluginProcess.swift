import FoundationEssentials
import Logging
import NIOCore
import ProviderKit
import Synchronization

/// The child's side of `isolation: process`: one plugin, loaded by the ordinary loader, driven by frames.
public enum PluginProcess {
    /// Serves the host on the socket that it left in this process, until the host says close or is gone.
    ///
    /// - Returns: the exit status.
    public static func run() async -> Int32 {
        let (frames, continuation) = AsyncStream<IsolationFrame>.makeStream()
        let channel: IsolationChannel
        do {
            channel = try await IsolationChannel(
                descriptor: ChildProcess.childDescriptor, received: { continuation.yield($0) },
                ended: { continuation.finish() })
        } catch {
            return 2
        }
        let server = PluginProcessServer(channel: channel)
        for await frame in frames {
            guard await server.handle(frame) else { break }
        }
        return await server.end()
    }
}

/// Turns frames into calls of the one instance, and their ends into frames. Frames are handled in order; what takes time
/// runs beside.
private actor PluginProcessServer {
    private let channel: IsolationChannel
    private var instance: PluginInstance?
    private var calls: [UInt64: Task<Void, Never>] = [:]

    /// The host gives a call up at its deadline; this side a little later, so that one of them decides.
    private static let grace = Duration.seconds(1)

    init(channel: IsolationChannel) {
        self.channel = channel
    }

    /// - Returns: false after the last frame that counts.
    func handle(_ frame: IsolationFrame) async -> Bool {
        do {
            switch frame.kind {
            case .start: try await start(frame)
            case .call: try begin(OutgoingCall(frame))
            case .cancel: calls[UInt64(bitPattern: try frame.integer(0))]?.cancel()
            case .validate: try await answer(frame) { try JSONEncoder().encode(try await $0.validate($1)) }
            case .reconfigure:
                try await answer(frame) {
                    try await $0.reconfigure($1)
                    return Data()
                }
            case .close: return false
            default: throw IsolationFrame.malformed
            }
            return true
        } catch {
            return false
        }
    }

    /// Ends the instance in order and tells the host.
    func end() async -> Int32 {
        for call in calls.values { call.cancel() }
        instance?.close()
        let inOrder = await instance?.ended() ?? true
        await channel.sendLast(IsolationFrame(.closed, [inOrder ? 1 : 0]))
        return inOrder ? 0 : 1
    }

    private func start(_ frame: IsolationFrame) async throws {
        let entry = try JSONDecoder().decode(PluginEntry.self, from: frame.blob(0))
        let level = Logger.Level(rawValue: try frame.text(1)) ?? .info
        let channel = channel
        var logger = Logger(label: "plugin") { _ in ForwardingLogHandler(channel: channel) }
        logger.logLevel = level
        do {
            let rules = try JSONDecoder().decode(LoadingRules.self, from: frame.blob(2))
            var loader = PluginLoader(rules, logger: logger)
            let image = try loader.load(entry.path)
            let books = InstanceGuard(
                name: entry.name, logger: logger,
                forward: { fault, detail in
                    // The host keeps the deadlines itself.
                    guard fault != .overrun else { return }
                    channel.send(IsolationFrame(.fault, [], [Data(fault.rawValue.utf8), Data(detail.utf8)]))
                })
            let services = InstanceServices(
                entry: entry, logger: logger, books: books,
                forwardMetric: { metric in
                    guard let frame = try? IsolationFrame(.metric, [], [JSONEncoder().encode(metric)]) else {
                        return .invalid
                    }
                    return channel.send(frame) ? .ok : .throttled
                })
            services.handleEvents { _, event, _ in
                guard let json = try? JSONEncoder().encode(event) else { return }
                channel.send(IsolationFrame(.event, [], [json]))
            }
            let instance = try await PluginInstance(image: image, entry: entry, services: services)
            self.instance = instance
            let description = ChildDescription(
                descriptor: instance.descriptor, offered: instance.offered, offersProbe: instance.offersProbe)
            channel.send(IsolationFrame(.started, [], [try JSONEncoder().encode(description)]))
        } catch {
            var error = ProviderError(error)
            // The host names plugin and file itself.
            let prefixes = ["plugin \(entry.name) (\(entry.path)): ", "plugin \(entry.path): "]
            for prefix in prefixes where error.message.hasPrefix(prefix) { error.message.removeFirst(prefix.count) }
            channel.send(IsolationFrame(.failedToStart, [Int64(error.code.borderCode)], [Data(error.message.utf8)]))
            throw error
        }
    }

    private func begin(_ call: OutgoingCall) throws {
        guard let instance else { throw IsolationFrame.malformed }
        let timeout = HostClock.now().duration(to: call.deadline) + Self.grace
        calls[call.ticket] = Task { [channel] in
            let completion: PluginCompletion
            do {
                let result = try await instance.call(
                    call.operation, call.request, items: RequestedItems.ids(in: call.request), timeout: timeout)
                completion = PluginCompletion(code: .ok, result: result)
            } catch {
                let error = ProviderError(error)
                completion = PluginCompletion(
                    code: error.code, message: error.message, retryAfterMilliseconds: error.retryAfterMilliseconds,
                    reason: error.reason)
            }
            self.forget(call.ticket)
            channel.send(completion.frame(call.ticket))
        }
    }

    private func forget(_ ticket: UInt64) { calls[ticket] = nil }

    private func answer(
        _ frame: IsolationFrame, _ body: (PluginInstance, Data) async throws -> Data
    ) async throws {
        guard let instance else { throw IsolationFrame.malformed }
        let number = try frame.integer(0)
        do {
            let payload = try await body(instance, try frame.blob(0))
            channel.send(IsolationFrame(.answered, [number, Int64(ResultCode.ok.borderCode)], [Data(), payload]))
        } catch {
            let error = ProviderError(error)
            channel.send(
                IsolationFrame(.answered, [number, Int64(error.code.borderCode)], [Data(error.message.utf8), Data()]))
        }
    }
}

/// Sends log lines to the host, which decides where they go.
private struct ForwardingLogHandler: LogHandler {
    let channel: IsolationChannel
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields: [String: String] = [:]
        // The host adds what names the instance.
        for (key, value) in event.metadata ?? [:] { fields[key] = "\(value)" }
        let level = Self.border(event.level)
        guard let encoded = try? JSONEncoder().encode(fields) else { return }
        channel.send(IsolationFrame(.log, [Int64(level.rawValue)], [Data("\(event.message)".utf8), encoded]))
    }

    private static func border(_ level: Logger.Level) -> LogLevel {
        switch level {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error, .critical: .error
        }
    }
}
