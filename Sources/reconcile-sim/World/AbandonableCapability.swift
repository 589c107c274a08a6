import Host
import ProviderKit

/// Calls of a provider as those of a plugin are: who is cancelled waits no longer, and the call goes on until it looks.
struct AbandonableCapability<Contract: CapabilityContract>: CapabilityClient {
    let provider: any CapabilityClient<Contract>

    func ensure(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await AbandonableCall.run { [provider] in try await provider.ensure(items) }
    }

    func remove(_ items: [Contract.Reference]) async throws -> [ItemResult<Nothing>] {
        try await AbandonableCall.run { [provider] in try await provider.remove(items) }
    }

    func check(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await AbandonableCall.run { [provider] in try await provider.check(items) }
    }

    func prune(keeping items: [Contract.Reference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        try await AbandonableCall.run { [provider] in try await provider.prune(keeping: items, namespaces: namespaces) }
    }

    func status(_ items: [Contract.Reference]) async throws -> [ItemResult<Contract.Observed>] {
        try await AbandonableCall.run { [provider] in try await provider.status(items) }
    }
}

/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
private final class AbandonableCall<Value: Sendable>: @unchecked Sendable {
    private var caller: CheckedContinuation<Value, any Error>?
    private var task: Task<Void, Never>?
    private var isCancelled = false

    static func run(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let call = AbandonableCall()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { call.begin($0, body) }
        } onCancel: {
            call.cancel()
        }
    }

    private func begin(
        _ caller: CheckedContinuation<Value, any Error>, _ body: @escaping @Sendable () async throws -> Value
    ) {
        guard !isCancelled else { return caller.resume(throwing: CancellationError()) }
        self.caller = caller
        task = Task {
            do { end(.success(try await body())) } catch { end(.failure(error)) }
        }
    }

    private func cancel() {
        isCancelled = true
        task?.cancel()
        end(.failure(CancellationError()))
    }

    private func end(_ result: Result<Value, any Error>) {
        let waiting = caller
        caller = nil
        waiting?.resume(with: result)
    }
}
