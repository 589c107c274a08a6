import CLinuxShim
import ServiceLifecycle

/// Keeps what the daemon has resident close to what it uses.
///
/// A comparison with the cloud reads documents of megabytes and forgets them. glibc gives threads heaps of their own, and
/// each would keep the room that such a document once took.
struct HeapKeeper: Service {
    /// Threads seldom wait for it: what they free and take again stays with them (tcache of glibc).
    private static let heaps: CInt = 1
    /// A pass over the heaps takes milliseconds.
    private static let interval = Duration.seconds(60)

    /// To be called before the daemon starts threads. An allocator that takes no advice works as well, in more memory.
    static func bound() { _ = shim_bound_heaps(heaps) }

    /// Gives free memory back now and then, until the daemon ends.
    func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                while true {
                    try await Task.sleep(for: Self.interval)
                    shim_trim_heaps()
                }
            } catch is CancellationError {}
        }
    }
}
