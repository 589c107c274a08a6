import Glibc
import ProviderKit

/// The clock of every deadline that crosses the border.
enum HostClock {
    /// CLOCK_MONOTONIC.
    static func now() -> HostInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return HostInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
