import FoundationEssentials
import Logging
import ProviderKit
import Synchronization

/// One configured plugin of the list, however it is reached.
public final class PluginInstance: Sendable {
    public let name: String
    public let descriptor: ProviderDescriptor
    let services: InstanceServices
    /// How it is reached, for people.
    public let isolation: PluginIsolation
    public let file: String

    private let transport: any PluginTransport
    /// nil with basic checking.
    private let checker: ContractChecker?
    private let state = Mutex(State())

    private struct State {
        /// Set by ``PluginInstance/close()``; its value is whether the instance was ended in order.
        var ending: Task<Bool, Never>?
    }

    /// Makes an instance of a plugin in this process.
    ///
    /// - Throws: ``HostError`` with code ``HostError/Code/plugin`` that carries the plugin's own message.
    public convenience init(image: PluginImage, entry: PluginEntry, logger: Logger) async throws {
        try await self.init(image: image, entry: entry, services: InstanceServices(entry: entry, logger: logger))
    }

    /// - Parameter services: made for this instance.
    convenience init(image: PluginImage, entry: PluginEntry, services: InstanceServices) async throws {
        try await self.init(entry: entry, path: image.path, services: services) {
            try await InProcessTransport(
                image: image, configuration: entry.configuration, host: services, limits: services.limits,
                timers: services.timers, isChecked: entry.checking == .full)
        }
    }

    /// - Parameters:
    ///   - path: the plugin's file, for messages.
    ///   - services: made for this instance.
    ///   - open: makes the instance and the way to it; throws ``ProviderError`` with the plugin's own message.
    init(
        entry: PluginEntry, path: String, services: InstanceServices,
        open: () async throws -> any PluginTransport
    ) async throws {
        do {
            transport = try await open()
        } catch {
            throw HostError(.plugin, "plugin \(entry.name) (\(path)): \(ProviderError(error).message)")
        }
        name = entry.name
        file = path
        isolation = entry.isolation
        descriptor = transport.descriptor
        checker = entry.checking == .full ? ContractChecker() : nil
        self.services = services
    }

    /// Makes the instance of an entry in the way its ``PluginEntry/isolation`` says.
    ///
    /// - Parameters:
    ///   - directory: where relative paths start.
    ///   - loader: decides whether the file may be loaded; a process of the plugin's own decides again when it starts.
    /// - Throws: ``HostError`` with code ``HostError/Code/plugin`` that carries the plugin's own message.
    static func open(
        _ entry: PluginEntry, in directory: String, with loader: inout PluginLoader, logger: Logger
    ) async throws -> PluginInstance {
        let path = entry.file(in: directory)
        guard case .process(let memoryLimit) = entry.isolation else {
            return try await PluginInstance(image: loader.load(path), entry: entry, logger: logger)
        }
        try loader.verify(path)
        let rules = loader.rules
        var located = entry
        located.path = path
        let program = try ChildProcess.hostProgram()
        let services = InstanceServices(entry: entry, logger: logger)
        return try await PluginInstance(entry: entry, path: path, services: services) { [located] in
            try await ChildTransport(
                entry: located, rules: rules, program: program, memoryLimit: memoryLimit << 20, services: services)
        }
    }

    /// How it fares, for people.
    public var status: PluginStatus {
        let summary = services.books.summary
        return PluginStatus(
            name: name, provider: descriptor.name, version: descriptor.version, capabilities: descriptor.capabilities,
            file: file, isolation: isolation.name, state: summary.state, reason: summary.reason,
            retryInSeconds: summary.retryInSeconds, calls: summary.calls, faults: summary.faults)
    }

    /// The verbs of each capability that the instance has.
    public var offered: [String: Set<Verb>] { transport.offered }

    /// The capability, if this instance offers it.
    ///
    /// - Parameter timeout: until one call of it must have completed.
    public func capability<Contract: CapabilityContract>(
        _ contract: Contract.Type, timeout: Duration
    ) -> PluginCapability<Contract>? {
        transport.offered[Contract.identifier] == nil ? nil : PluginCapability(plugin: self, timeout: timeout)
    }

    /// Whether ``probe(timeout:)`` asks anybody.
    public var offersProbe: Bool { transport.offersProbe }

    /// What the instance did wrong so far.
    public var health: InstanceHealth { services.health.snapshot }

    /// Registers the one receiver of events; before, they are logged.
    public func handleEvents(_ handler: @escaping PluginEventHandler) { services.handleEvents(handler) }

    /// See ``PluginRuntime/fenceWrites(_:)``.
    func fenceWrites(_ refusal: @escaping @Sendable () -> ProviderError?) { services.fenceWrites(refusal) }

    /// Asks whether the provider could work now.
    ///
    /// - Throws: ``ProviderError``; with ``ResultCode/unsupported`` if the plugin does not tell.
    public func probe(timeout: Duration) async throws -> ProbeResult {
        guard transport.offersProbe else {
            throw ProviderError(.unsupported, "plugin \(name): does not offer probe")
        }
        return try decode(ProbeResult.self, try await call(.probe, Data(), items: [], timeout: timeout), .probe)
    }

    /// Decodes a result; what cannot be decoded is the plugin's fault.
    func decode<Value: Decodable>(
        _ type: Value.Type, _ answer: Data, _ operation: PluginOperation
    ) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: answer)
        } catch {
            throw wrongAnswer(operation, (error as? DecodingError)?.oneLine ?? "\(error)")
        }
    }

    /// Counts a wrong result (P-14).
    private func wrongAnswer(_ operation: PluginOperation, _ problem: String) -> ProviderError {
        services.report(.badResult("\(operation): \(problem)"))
        return ProviderError(.terminal, "plugin \(name): \(operation) answered wrongly: \(problem)")
    }

    /// The mistakes that the plugin finds in a configuration, none if it would take it.
    ///
    /// - Throws: ``ProviderError``; with ``ResultCode/unsupported`` if the plugin does not judge configurations.
    public func validate(_ configuration: Data) async throws -> [ConfigurationMistake] {
        try await transport.validate(configuration)
    }

    /// Gives the instance other settings while it lives, wholly or not at all.
    ///
    /// - Throws: ``ProviderError``; with ``ResultCode/unsupported`` if it takes a new instance.
    public func reconfigure(_ configuration: Data) async throws {
        guard !isClosing else { throw stopped }
        try await transport.reconfigure(configuration)
    }

    /// Ends the instance without waiting. Waiting callers get an error, and the plugin hears that nobody waits; later
    /// calls throw. ``ended()`` waits.
    public func close() {
        state.withLock { state in
            guard state.ending == nil else { return }
            let end = UnansweredCall(end: .abandoned, error: stopped)
            for ticket in services.calls.giveUpAll(with: end) { transport.cancel(ticket) }
            state.ending = Task { [transport, services] in
                let isInOrder = await transport.close()
                if !isInOrder {
                    services.logger.error("the plugin hangs; its instance is left as it is, without services")
                }
                services.forget()
                return isInOrder
            }
        }
    }

    /// Waits for the end that ``close()`` began; bounded, because a plugin that hangs is left as it is.
    ///
    /// - Returns: false if it was left.
    @discardableResult
    public func ended() async -> Bool {
        await state.withLock { $0.ending }?.value ?? true
    }

    private var isClosing: Bool { state.withLock { $0.ending != nil } }

    private var stopped: ProviderError { ProviderError(.cancelled, "plugin \(name): stopped") }

    /// Runs one call, unless the instance is quarantined, and keeps the books on it.
    ///
    /// - Parameter items: the ids of the request's items.
    /// - Throws: ``ProviderError``, or `CancellationError` if the caller was cancelled.
    func call(
        _ operation: PluginOperation, _ request: Data, items: [String], timeout: Duration
    ) async throws -> Data {
        if case .verb(let capability, let verb) = operation, transport.offered[capability]?.contains(verb) != true {
            throw ProviderError(.unsupported, "plugin \(name): does not offer the verb \(operation)")
        }
        try checker?.checkRequest(operation, request, plugin: name)
        let books = services.books
        try books.admit()
        services.expectItems(items)
        do {
            let answer = try await perform(operation, request, timeout: timeout)
            books.ended(.completed, "\(operation)")
            if let problem = checker?.problem(operation, answer, items: items) {
                throw wrongAnswer(operation, problem)
            }
            return answer
        } catch let end as UnansweredCall {
            books.ended(end.end, "\(operation)")
            throw end.error
        } catch let error as ProviderError {
            books.ended(.completed, "\(operation)")
            throw error
        } catch {
            books.ended(.abandoned, "\(operation)")
            throw error
        }
    }

    /// Hands the request over and waits for the completion, the deadline or the caller's cancellation.
    private func perform(_ operation: PluginOperation, _ request: Data, timeout: Duration) async throws -> Data {
        let call = OutgoingCall(
            operation: operation, ticket: services.calls.makeTicket(),
            deadline: HostClock.now().advanced(by: timeout), trace: TraceParent.random(), request: request)
        services.health.count(\.calls)
        let watchdog = services.timers.schedule(at: call.deadline) { [self] in
            let error = ProviderError(.retry, "plugin \(name): \(operation) did not complete within \(timeout)")
            if giveUp(call.ticket, UnansweredCall(end: .overrun, error: error)) { services.health.count(\.overruns) }
        }
        defer { services.timers.cancel(watchdog) }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                services.calls.enter(call.ticket, continuation)
                if isClosing { services.refuse(call.ticket, .cancelled, "stopped") } else { transport.start(call) }
                // A cancellation before the ticket was entered found nothing to give up.
                if Task.isCancelled { giveUp(call.ticket, CancellationError()) }
            }
        } onCancel: {
            giveUp(call.ticket, CancellationError())
        }
    }

    /// - Returns: false if nobody waited.
    @discardableResult
    private func giveUp(_ ticket: UInt64, _ error: any Error) -> Bool {
        guard services.calls.giveUp(ticket, with: error) else { return false }
        transport.cancel(ticket)
        return true
    }
}

/// W3C Trace Context, version 00 (https://www.w3.org/TR/trace-context/).
enum TraceParent {
    /// A new trace with its first span, sampled.
    static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }
        // Neither id may be all zeros.
        let trace = hex(generator.next()) + hex(generator.next(upperBound: .max) + 1)
        return "00-\(trace)-\(hex(generator.next(upperBound: .max) + 1))-01"
    }
}
