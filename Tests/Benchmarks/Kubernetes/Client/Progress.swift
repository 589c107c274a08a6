import Kubernetes
import Reconcile
import Synchronization

/// What the reconciles did so far.
final class Progress: Sendable {
    private struct State {
        /// The desired state of each key as it was applied.
        var applied: [ObjectKey: PodEndpointSpec] = [:]
        var runs = 0
        var inBurst = false
        /// During a burst: what each key was last reconciled to.
        var reached: [ObjectKey: Reached] = [:]
    }

    private struct Reached {
        var round: Int
        var at: Int64
        var checksum: UInt64
    }

    private let state = Mutex(State())

    /// Compares what is desired of one object with what was applied, and applies it if they differ.
    ///
    /// - Parameter wait: how long a run waits during a burst, in place of a call to a cloud.
    func reconcile(_ key: ObjectKey, in store: ObjectStore<PodEndpoint>, wait: Duration) async -> Outcome {
        guard let entry = store.entry(for: key) else {
            state.withLock { state in
                state.runs += 1
                state.applied[key] = nil
            }
            return .done
        }
        let inBurst = state.withLock { state in
            state.runs += 1
            if state.applied[key] != entry.object.spec { state.applied[key] = entry.object.spec }
            return state.inBurst
        }
        guard inBurst else { return .done }
        do {
            try await Task.sleep(for: wait)
        } catch {
            return .retry(error)
        }
        let endpoint = entry.object
        let round = Int(endpoint.metadata.annotations[BenchClient.roundAnnotation] ?? "") ?? 0
        let reached = Reached(round: round, at: monotonic(), checksum: checksum(endpoint))
        state.withLock { $0.reached[key] = reached }
        return .done
    }

    var runs: Int { state.withLock { $0.runs } }

    func beginBurst() {
        state.withLock { state in
            state.inBurst = true
            state.runs = 0
        }
    }

    /// Whether each key's last state is reconciled.
    func isOver(keys: Int, rounds: Int) -> Bool {
        state.withLock { state in state.reached.values.count { $0.round == rounds } == keys }
    }

    /// - Parameter began: nanoseconds of CLOCK_MONOTONIC.
    func report(into result: inout ClientResult, since began: Int64) {
        state.withLock { state in
            let latencies = state.reached.values.map { Double($0.at - began) / 1e9 }.sorted()
            result.runs = state.runs
            result.keys = latencies.count
            result.checksum = String(state.reached.values.reduce(UInt64(0)) { $0 ^ $1.checksum }, radix: 16)
            guard !latencies.isEmpty else { return }
            result.latencyP50 = latencies[latencies.count / 2]
            result.latencyP99 = latencies[latencies.count * 99 / 100]
        }
    }
}
