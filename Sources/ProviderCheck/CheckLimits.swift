import Foundation
import ProviderAPI

/// Times and sizes that cases hold a plugin to, beside those of the header.
enum CheckLimits {
    /// How many times longer than usual everything may take: 1 to 20 by the environment's EGRESS_CHECK_PATIENCE, for
    /// emulated machines. Every case's process inherits it.
    static let patience: Int64 = {
        let asked = ProcessInfo.processInfo.environment["EGRESS_CHECK_PATIENCE"].flatMap(Int64.init) ?? 1
        return min(max(asked, 1), 20)
    }()
    /// Within which every [host-thread] function and every verb must return.
    static let hostThread = Duration.seconds(Int64(EGP_MAXIMUM_HOST_THREAD_SECONDS) * patience)
    /// A verb that takes longer than this to return does work that belongs on a thread of the plugin's.
    static let verbWarning = Duration.milliseconds(250 * patience)
    /// Calls that ask for nothing must complete within this.
    static let emptyCall = Duration.seconds(5 * patience)
    /// So long a second completion or a late call is awaited.
    static let grace = Duration.milliseconds(50)
    /// Threads that call at the same time.
    static let threads = 8
    /// Rounds of the cases that look for growth, and of those that let caches fill before.
    static let growthRounds = 100
    static let warmUpRounds = 30
    /// Bytes of resident memory that one instance or call may leave behind; less is noise of allocators.
    static let growthBytesPerRound = 16_384
}
