import Glibc

/// What a case has to work with.
final class CaseContext: Sendable {
    let pluginPath: String
    let settings: CheckSettings
    let seed: UInt64
    private let writer: CaseMessageWriter

    init(pluginPath: String, settings: CheckSettings, seed: UInt64, writer: CaseMessageWriter) {
        self.pluginPath = pluginPath
        self.settings = settings
        self.seed = seed
        self.writer = writer
    }

    /// Says what is done next; a crash is reported with the last of these.
    func step(_ text: String) {
        writer.send(CaseMessage(step: text))
    }

    /// Tells of something that is allowed, but better otherwise.
    func warn(_ text: String) {
        writer.send(CaseMessage(warning: text))
    }

    /// Waits, so that what must not happen has time to.
    func pause(_ time: Duration) {
        usleep(UInt32(clamping: time.nanoseconds / 1_000))
    }
}
