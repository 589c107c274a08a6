import FoundationEssentials
import JSONModel
import Kubernetes

/// The way of one process to the API server: it takes time, and loses, refuses and delays.
struct ProcessTransport: APITransport {
    let process: SimulatedProcess

    private var world: World { process.world }

    func send(_ request: APIRequest) async throws -> Data {
        let isEffect = try isEffect(request)
        if isEffect { process.checkLease(request.label) }
        try await reach(request)
        let fault = process.faults.requestFault()
        switch fault {
        case .unavailable: throw KubernetesError(httpStatus: 503, body: Data(), request: request.label)
        case .throttled:
            throw KubernetesError(
                httpStatus: 429, body: Data(), retryAfterHeader: String(process.faults.number(1...4)),
                request: request.label)
        case .conflict where request.method == .patch:
            throw KubernetesError(httpStatus: 409, body: Data(), request: request.label)
        case .none, .lostAnswer, .conflict: break
        }
        if request.path == "/version" {
            return Data(#"{"major":"1","minor":"\#(process.plan.profile.streamsLists ? 34 : 20)"}"#.utf8)
        }
        let target = try target(request)
        if isEffect { try process.passWrite("before \(request.label)") }
        let answer = process.plan.plant.answer(request, target, world.server) ?? world.server.answer(request, target)
        if isEffect {
            world.note("\(process.name): \(request.label) -> \(answer.status)")
            try process.passWrite("after \(request.label)")
        }
        // It was true when it was read.
        if request.method == .get, let delay = process.faults.staleness() { try await world.clock.sleep(for: delay) }
        try await process.travel()
        if case .lostAnswer = fault { throw KubernetesError(.timeout, "\(request.label): the answer was lost") }
        let body = try answer.body.json()
        guard answer.status < 300 else {
            throw KubernetesError(httpStatus: answer.status, body: body, request: request.label)
        }
        return body
    }

    func open(_ request: APIRequest) async throws -> Chunks {
        try await reach(request)
        if case .unavailable = process.faults.requestFault() {
            throw KubernetesError(httpStatus: 503, body: Data(), request: request.label)
        }
        let target = try target(request)
        let watch = SimulatedWatch(target: target, process: process)
        process.keep(watch)
        if target.query["sendInitialEvents"] == "true" {
            watch.begin(with: world.server.objects(target.plural), version: world.server.version)
        } else {
            world.server.watch(watch, from: Int(target.query["resourceVersion"] ?? "") ?? 0)
        }
        return watch
    }

    func shutdown() async throws {}

    private func reach(_ request: APIRequest) async throws {
        try await process.travel()
        guard process.isCutOff else { return }
        try await world.clock.sleep(for: .seconds(process.faults.number(1...10)))
        throw KubernetesError(.unavailable, "\(request.label): the server cannot be reached")
    }

    /// The Lease is written every two seconds; deaths and leadership are about what matters.
    private func isEffect(_ request: APIRequest) throws -> Bool {
        guard request.method != .get else { return false }
        return try !["leases", "events"].contains(target(request).plural)
    }

    private func target(_ request: APIRequest) throws -> SimulatedServer.Target {
        guard let target = SimulatedServer.Target(request.path) else {
            throw KubernetesError(.badRequest, "\(request.label): no such path")
        }
        return target
    }
}
