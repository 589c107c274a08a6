import ProviderAPI

/// Times and sizes that cases hold a plugin to, beside those of the header.
enum CheckLimits {
    /// Within which every [host-thread] function and every verb must return.
    static let hostThread = Duration.seconds(Int64(EGP_MAXIMUM_HOST_THREAD_SECONDS))
    /// A verb that takes longer than this to return does work that belongs on a thread of the plugin's.
    static let verbWarning = Duration.milliseconds(250)
    /// Calls that ask for nothing must complete within this.
    static let emptyCall = Duration.seconds(5)
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
