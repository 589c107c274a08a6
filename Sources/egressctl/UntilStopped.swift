import Dispatch
import Glibc
import Synchronization

/// Waits for a service that runs in the foreground, and cancels it at SIGTERM or SIGINT.
///
/// - Throws: why the service failed; how it ends after it was told to is no failure.
func untilStopped(_ service: Task<Void, any Error>) async throws {
    let wasStopped = Mutex(false)
    let sources = [SIGTERM, SIGINT].map { number in
        // The default action would end the process before the handler runs.
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number)
        source.setEventHandler {
            wasStopped.withLock { $0 = true }
            service.cancel()
        }
        source.resume()
        return source
    }
    defer { sources.forEach { $0.cancel() } }
    do {
        try await service.value
    } catch  where wasStopped.withLock({ $0 }) {
        // Ended as asked; what the service says about that is no failure.
    }
}
