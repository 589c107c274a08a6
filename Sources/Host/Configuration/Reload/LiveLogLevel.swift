import Logging
import Synchronization

/// The level of every logger of the daemon that has none of its own; may change at any time, from any thread.
final class LiveLogLevel: Sendable {
    private let level: Mutex<Logger.Level>

    init(_ level: Logger.Level) { self.level = Mutex(level) }

    var current: Logger.Level {
        get { level.withLock { $0 } }
        set { level.withLock { $0 = newValue } }
    }
}

/// Writes lines as swift-log's own handler does, by a level that may change while copies of the logger are about.
struct LiveLogHandler: LogHandler {
    private var stream: StreamLogHandler
    private let level: LiveLogLevel
    private var own: Logger.Level?

    init(_ stream: StreamLogHandler, level: LiveLogLevel) {
        self.stream = stream
        self.level = level
    }

    /// Setting it frees this logger and its copies from the common level.
    var logLevel: Logger.Level {
        get { own ?? level.current }
        set { own = newValue }
    }

    var metadata: Logger.Metadata {
        get { stream.metadata }
        set { stream.metadata = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { stream.metadataProvider }
        set { stream.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { stream[metadataKey: key] }
        set { stream[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) { stream.log(event: event) }
}
