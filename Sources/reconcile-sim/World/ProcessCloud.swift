import ProviderKit

/// What both simulated providers have in common: operations of the cloud that take time and may fail.
struct ProcessCloud: Sendable {
    let process: SimulatedProcess

    private var world: World { process.world }
    var cloud: SimulatedCloud { process.world.cloud }

    /// One read.
    func read() async throws(ProviderError) {
        try await alive()
        await world.clock.pass(process.faults.latency())
        try await alive()
    }

    /// One write. Once it is sent it is done, whatever becomes of the sender and whether it hears of it or not.
    func write(_ label: String, _ apply: @escaping () throws(ProviderError) -> Void) async throws(ProviderError) {
        try await alive()
        if let refusal = process.refusal() { throw refusal }
        process.checkLease(label)
        let fault = process.faults.cloudFault()
        switch fault {
        case .refused: throw ProviderError(.retry, "\(label): 500")
        case .throttled:
            throw ProviderError(
                .throttled, "\(label): 429", retryAfterMilliseconds: 1000 * process.faults.number(1...10))
        case .conflict: throw ProviderError(.conflict, "\(label): 412")
        case .none, .lostAnswer: break
        }
        try passWrite("before \(label)")
        let result: Result<Void, ProviderError> = await withCheckedContinuation { continuation in
            cloud.writesUnderWay += 1
            world.clock.schedule(after: process.faults.cloudLatency()) { [world, name = process.name] in
                world.cloud.writesUnderWay -= 1
                let result = Result { () throws(ProviderError) in try apply() }
                world.note("\(name): cloud: \(label)\(result.isSuccess ? "" : " refused")")
                world.checkCloud()
                continuation.resume(returning: result)
            }
        }
        try await alive()
        try passWrite("after \(label)")
        if case .lostAnswer = fault { throw ProviderError(.retry, "\(label): the answer was lost") }
        try result.get()
    }

    private func alive() async throws(ProviderError) {
        guard !Task.isCancelled else { throw ProviderError(.cancelled, "the call is given up") }
        do { try await process.gate() } catch { throw ProviderError(.cancelled, "the process is dead") }
    }

    private func passWrite(_ label: String) throws(ProviderError) {
        do { try process.passWrite(label) } catch { throw ProviderError(.cancelled, "the process is dead") }
    }
}

extension Result {
    var isSuccess: Bool {
        if case .success = self { return true }
        return false
    }
}

extension ItemResult {
    init(id: String, _ error: ProviderError) {
        self.init(
            id: id, code: error.code, message: error.message, retryAfterMilliseconds: error.retryAfterMilliseconds,
            reason: error.reason)
    }
}

extension PoolSelector {
    /// The name of the simulated pool.
    var simulatedName: String { nodepoolName ?? scaleSet?.name ?? "" }
}

/// Items of a batch by pool, in a stable order.
func grouped<Item>(_ items: [Item], by pool: (Item) -> PoolSelector) -> [(pool: String, items: [Item])] {
    Dictionary(grouping: items) { pool($0).simulatedName }.sorted { $0.key < $1.key }
        .map { (pool: $0.key, items: $0.value) }
}
