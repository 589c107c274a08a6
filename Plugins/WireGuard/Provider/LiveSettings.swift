import ProviderKit
import Synchronization

/// The settings of an instance, which may change while it lives. Read where they are used, never kept.
final class LiveSettings: Sendable {
    private let settings: Mutex<WireGuardSettings>

    init(_ settings: WireGuardSettings) {
        self.settings = Mutex(settings)
    }

    var current: WireGuardSettings { settings.withLock { $0 } }

    /// Takes all of the settings or none.
    ///
    /// - Throws: `unsupported` that names the setting that needs a new instance: what carries packets, and how large
    ///   they may be, is decided when a link is made.
    func replace(with other: WireGuardSettings) throws {
        try settings.withLock { settings in
            func fixed(_ field: String, _ isSame: Bool) throws {
                guard isSame else {
                    throw ProviderError(
                        .unsupported, "config.\(field): cannot change while tunnels live; restart the daemon")
                }
            }
            try fixed("form", other.form == settings.form)
            try fixed("userspaceBinary", other.userspaceBinary == settings.userspaceBinary)
            try fixed("mtu", other.mtu == settings.mtu)
            settings = other
        }
    }
}
