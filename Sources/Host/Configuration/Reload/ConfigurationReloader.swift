import FoundationEssentials
import JSONModel
import Logging
import NIOPosix
import ProviderKit
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Reads `host.yaml` again when it changed or SIGHUP comes, applies what can be applied while the daemon runs, and says
/// of the rest that it needs a restart. A file with a mistake changes nothing.
struct ConfigurationReloader: Service {
    /// Pause between looks at the file. Kubernetes itself takes up to a minute to bring a changed ConfigMap to a mount.
    static let interval = Duration.seconds(2)
    /// Mistakes that are kept for the daemon's status; the log has all.
    private static let keptMistakes = 20

    let path: String
    let plugins: PluginRuntime
    let running: RunningConfiguration
    let logLevel: LiveLogLevel
    /// nil: only the file is watched.
    let hangups: UnixSignalsSequence?
    let logger: Logger
    var interval = Self.interval
    var clock: any Clock<Duration> = ContinuousClock()

    /// Why the file is read.
    private enum Cause {
        case changed, asked
        /// What a plugin put off is tried again.
        case putOff
    }

    /// Wakes the one task that reads: any number of wishes before it looks are one.
    private final class Wishes: Sendable {
        let signal = ChangeSignal()
        private let isAsked = Mutex(false)

        func ask() {
            isAsked.withLock { $0 = true }
            signal.raise()
        }

        /// Whether somebody asked since the last time.
        func take() -> Bool {
            isAsked.withLock { isAsked in
                defer { isAsked = false }
                return isAsked
            }
        }
    }

    /// Reads until the task is cancelled or graceful shutdown begins.
    func run() async {
        let wishes = Wishes()
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                if let hangups {
                    group.addTask { for await _ in hangups { wishes.ask() } }
                }
                group.addTask {
                    while !Task.isCancelled {
                        wishes.signal.raise()
                        try? await clock.sleep(for: interval)
                    }
                }
                group.addTask { await serve(wishes) }
            }
        }
    }

    private func serve(_ wishes: Wishes) async {
        var watch = FileWatch()
        var isPutOff = false
        for await _ in wishes.signal.changes {
            let version: FileVersion?
            do {
                version = try await NIOThreadPool.singleton.runIfActive { FileVersion(path: path) }
            } catch {
                // The thread pool refuses only when the process ends.
                return
            }
            let isAsked = wishes.take()
            if watch.shouldRead(version, isAsked: isAsked) {
                isPutOff = await reload(isAsked ? .asked : .changed)
            } else if isPutOff {
                isPutOff = await reload(.putOff)
            }
        }
    }

    /// - Returns: whether a plugin asks to be tried again.
    private func reload(_ cause: Cause) async -> Bool {
        let schemas = schemas()
        guard let read = try? await NIOThreadPool.singleton.runIfActive({ Self.read(path, schemas) }) else {
            return false
        }
        var difference = running.difference
        guard let wanted = read.configuration, read.mistakes.isEmpty else {
            for mistake in read.mistakes {
                logger.error("configuration not applied", metadata: ["mistake": "\(mistake)"])
            }
            difference.mistakes = Array(read.mistakes.prefix(Self.keptMistakes))
            running.difference = difference
            return false
        }
        let change = ConfigurationChange(from: running.configuration, to: wanted)
        let before = difference
        difference = Self.difference(change)
        var isPutOff = false
        for entry in change.reconfigured {
            guard let refusal = await give(entry, quietly: cause == .putOff) else { continue }
            difference.plugins[entry.name] = refusal.state
            if refusal.state.state == Self.restartNeeded {
                difference.restartNeeded.append("plugins.\(entry.name).config: \(refusal.state.reason)")
            }
            isPutOff = isPutOff || refusal.isPutOff
        }
        if let name = change.logLevel, let level = Logger.Level(rawValue: name) {
            logLevel.current = level
            running.took(logLevel: name)
            logger.notice("log level changed; plugins in processes of their own take it when those start again")
        }
        running.difference = difference
        tell(difference, before, cause, isUnchanged: change.reconfigured.isEmpty && change.logLevel == nil)
        return isPutOff
    }

    private static let restartNeeded = "restart needed"

    /// What a change leaves to a restart.
    private static func difference(_ change: ConfigurationChange) -> ConfigurationDifference {
        var difference = ConfigurationDifference()
        difference.restartNeeded = change.restarts.map(\.field)
        for (plugin, restarts) in Dictionary(grouping: change.restarts, by: \.plugin) {
            guard let plugin else { continue }
            difference.plugins[plugin] = .init(
                state: restartNeeded, reason: restarts.map(\.field).joined(separator: ", "))
        }
        return difference
    }

    /// Gives a plugin its new settings.
    ///
    /// - Returns: nil if it took them; else it goes on with the old ones.
    private func give(
        _ entry: PluginEntry, quietly: Bool
    ) async -> (state: ConfigurationDifference.PluginState, isPutOff: Bool)? {
        guard let instance = plugins.instances.first(where: { $0.name == entry.name }) else { return nil }
        do {
            try await instance.reconfigure(entry.configuration)
            running.took(entry)
            logger.notice("plugin took its new settings", metadata: ["plugin": .string(entry.name)])
            return nil
        } catch {
            let error = ProviderError(error)
            let state = error.code == .unsupported ? Self.restartNeeded : "settings refused"
            let place = entry.line.map { "\(path): line \($0): " } ?? "\(path): "
            logger.log(
                level: quietly ? .debug : .warning, "plugin keeps its old settings",
                metadata: [
                    "plugin": .string(entry.name), "state": .string(state),
                    "reason": "\(place)plugin \(entry.name): \(error.message)",
                ])
            let isPutOff = error.code == .retry || error.code == .throttled
            return (.init(state: state, reason: "\(place)\(error.message)"), isPutOff)
        }
    }

    private func tell(
        _ difference: ConfigurationDifference, _ before: ConfigurationDifference, _ cause: Cause, isUnchanged: Bool
    ) {
        if !difference.restartNeeded.isEmpty {
            guard cause != .putOff else { return }
            let fields = difference.restartNeeded.joined(separator: ", ")
            logger.warning("restart needed", metadata: ["fields": .string(fields)])
        } else if before != ConfigurationDifference(), difference == ConfigurationDifference() {
            logger.notice("configuration is as the daemon runs again")
        } else if isUnchanged, cause == .asked {
            logger.notice("configuration read again; nothing changed")
        }
    }

    /// The schemas of the plugins that run, by their names in the list.
    private func schemas() -> [String: (path: String, schema: JSONSchema)] {
        let documents = Dictionary(
            plugins.instances.map { ($0.name, $0.descriptor.configurationSchema) },
            uniquingKeysWith: { first, _ in first })
        var schemas: [String: (path: String, schema: JSONSchema)] = [:]
        for entry in running.configuration.plugins {
            // What cannot be compiled is left to the plugin's own judgement.
            guard let document = documents[entry.name] ?? nil, let schema = try? JSONSchema(compiling: document) else {
                continue
            }
            schemas[entry.name] = (entry.path, schema)
        }
        return schemas
    }

    /// Reads and checks the file; an entry for a plugin that does not run is checked when it shall. May block.
    private static func read(
        _ path: String, _ schemas: [String: (path: String, schema: JSONSchema)]
    ) -> (configuration: HostConfiguration?, mistakes: [String]) {
        do {
            let review = try ConfigurationReview(try HostConfiguration.readText(path), name: path)
            var mistakes = review.mistakes
            for entry in review.configuration?.plugins ?? [] {
                guard let (file, schema) = schemas[entry.name], file == entry.path else { continue }
                mistakes += review.mistakes(in: entry, by: schema)
            }
            return (review.configuration, mistakes)
        } catch {
            return (nil, ["\(error)"])
        }
    }
}
