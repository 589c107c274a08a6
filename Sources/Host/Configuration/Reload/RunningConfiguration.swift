import Synchronization

/// How `host.yaml` differs from what runs.
struct ConfigurationDifference: Sendable, Equatable {
    struct PluginState: Sendable, Equatable {
        /// `restart needed` or `settings refused`.
        var state: String
        var reason: String
    }

    /// Fields whose new values need a restart.
    var restartNeeded: [String] = []
    /// The file's mistakes; while there are any, nothing of it is applied.
    var mistakes: [String] = []
    /// By the plugin's name.
    var plugins: [String: PluginState] = [:]
}

/// The configuration as it is in force. Written by ``ConfigurationReloader`` alone, read by who tells people.
final class RunningConfiguration: Sendable {
    private struct State {
        var configuration: HostConfiguration
        var difference = ConfigurationDifference()
    }

    private let state: Mutex<State>

    init(_ configuration: HostConfiguration) {
        state = Mutex(State(configuration: configuration))
    }

    var configuration: HostConfiguration { state.withLock { $0.configuration } }

    var difference: ConfigurationDifference {
        get { state.withLock { $0.difference } }
        set { state.withLock { $0.difference = newValue } }
    }

    /// The plugin of that entry runs with its settings now.
    func took(_ entry: PluginEntry) {
        state.withLock { state in
            guard let index = state.configuration.plugins.firstIndex(where: { $0.name == entry.name }) else { return }
            state.configuration.plugins[index].configuration = entry.configuration
        }
    }

    func took(logLevel: String) { state.withLock { $0.configuration.logLevel = logLevel } }
}
