import FoundationEssentials
import ProviderAPI
import ProviderKit
import Synchronization

/// A plugin instance in this process, reached through its C table on threads of its own.
///
/// Three sets of threads call the plugin, so that none waits for another: one thread for [host-thread] functions (H-4),
/// a few for verbs, one for `cancel`. A function that does not return holds its thread and nothing else.
final class InProcessTransport: PluginTransport {
    let descriptor: ProviderDescriptor
    let offered: [String: Set<Verb>]

    private let image: PluginImage
    private let instance: RawInstance
    private let tables: [String: VerbTable]
    private let host: any InstanceHost
    private let hostTable: HostTable
    private let limits: InstanceLimits
    private let isChecked: Bool
    private let hostThread: PluginThreads
    private let verbThreads: PluginThreads
    private let cancelThread: PluginThreads
    /// Tickets whose verb has not been entered yet: a plugin is not told to cancel what it never saw.
    private let unseen = Mutex<Set<UInt64>>([])

    /// Sendable: only passed to functions that the ABI tags [any-thread], and to [host-thread] ones on ``hostThread``;
    /// destroy comes last (``close()``).
    private struct RawInstance: @unchecked Sendable {
        var pointer: OpaquePointer
    }

    /// Sendable: a copy of C function pointers that the ABI tags [any-thread].
    private struct VerbTable: @unchecked Sendable {
        var raw: egp_capability

        func function(_ verb: Verb) -> egp_verb? {
            switch verb {
            case .ensure: raw.ensure
            case .remove: raw.remove
            case .check: raw.check
            case .prune: raw.prune
            case .status: raw.status
            }
        }
    }

    private struct Created: Sendable {
        var code: egp_code
        var message: String
        var instance: RawInstance?
        var tables: [String: VerbTable] = [:]
    }

    /// Makes the instance.
    ///
    /// - Throws: ``ProviderError`` with the plugin's own code and message; retry if it does not return in time.
    init(
        image: PluginImage, configuration: Data, host: any InstanceHost, limits: InstanceLimits, timers: TimerQueue,
        isChecked: Bool
    ) async throws {
        func threads(_ maximum: Int, waiting: Int) -> PluginThreads {
            PluginThreads(
                maximumThreads: maximum, maximumWaiting: waiting, limit: limits.inside, timers: timers,
                stuckChanged: { host.reportStuck($0) })
        }
        hostThread = threads(1, waiting: 16)
        verbThreads = threads(limits.verbThreads, waiting: limits.waitingCalls)
        cancelThread = threads(1, waiting: limits.waitingCalls)
        let hostTable = try HostTable(host, isChecked: isChecked)
        let created = await hostThread.call(within: limits.inside) {
            Self.create(image, configuration, hostTable, host, isChecked)
        } late: { created in
            // Nobody took it: it goes as it came.
            if let instance = created.instance { hostTable.inside(.host) { image.provider.destroy?(instance.pointer) } }
            hostTable.revoke()
        }
        guard let created else { throw ProviderError(.retry, "its create did not return within \(limits.inside)") }
        guard let instance = created.instance else {
            hostTable.revoke()
            _ = await hostThread.end(within: .zero)
            throw ProviderError(ResultCode(failureCode: created.code), created.message)
        }
        self.image = image
        self.host = host
        self.hostTable = hostTable
        self.limits = limits
        self.isChecked = isChecked
        self.instance = instance
        descriptor = image.descriptor
        tables = created.tables
        offered = created.tables.mapValues { table in Set(Verb.allCases.filter { table.function($0) != nil }) }
    }

    var offersProbe: Bool { image.provider.probe != nil }

    // MARK: - On the host thread

    private static func create(
        _ image: PluginImage, _ configuration: Data, _ hostTable: HostTable, _ host: any InstanceHost, _ isChecked: Bool
    ) -> Created {
        var raw: OpaquePointer?
        let (code, text) = message { message in
            Borrowed.lend(configuration, isChecked) { configuration in
                hostTable.inside(.host) {
                    image.provider.create?(hostTable.pointer, configuration, &raw, message)
                        ?? egp_code(EGP_UNSUPPORTED)
                }
            }
        }
        guard code == egp_code(EGP_OK), let raw else {
            return Created(code: code, message: text.isEmpty ? "refused to start" : text)
        }
        hostTable.becomeLive()
        var created = Created(code: code, message: "", instance: RawInstance(pointer: raw))
        for identifier in image.descriptor.capabilities {
            created.tables[identifier] = hostTable.inside(.verb) { table(identifier, image, raw, host) }
        }
        return created
    }

    /// A copy of the vtable of a capability, nil if the instance does not offer it.
    private static func table(
        _ identifier: String, _ image: PluginImage, _ instance: OpaquePointer, _ host: any InstanceHost
    ) -> VerbTable? {
        guard let table = identifier.withBorderBytes({ image.provider.capability?(instance, $0) }) else { return nil }
        // Read before the rest, which may not be there.
        let size = UnsafeRawPointer(table).load(as: UInt32.self)
        guard size >= UInt32(MemoryLayout<egp_capability>.size), table.pointee.flags == 0 else {
            host.report(.other(requirement: "P-23", "its table of \(identifier) is too small or has unknown flags"))
            return nil
        }
        guard table.pointee.ensure != nil, table.pointee.remove != nil else {
            host.report(.other(requirement: "P-21", "its table of \(identifier) lacks ensure or remove"))
            return nil
        }
        return VerbTable(raw: table.pointee)
    }

    func validate(_ configuration: Data) async throws -> [ConfigurationMistake] {
        let outcome = await hostThread.call(within: limits.inside) { [image] in
            Result { try image.validate(configuration) }
        }
        guard let outcome else { throw overdue("validate") }
        return try outcome.get()
    }

    func reconfigure(_ configuration: Data) async throws {
        guard let reconfigure = image.provider.reconfigure else {
            throw ProviderError(.unsupported, "it takes no other settings while it lives")
        }
        let function = RawReconfigure(function: reconfigure)
        let outcome = await hostThread.call(within: limits.inside) { [hostTable, instance, isChecked] in
            Self.message { message in
                Borrowed.lend(configuration, isChecked) { configuration in
                    hostTable.inside(.host) { function.function(instance.pointer, configuration, message) }
                }
            }
        }
        guard let (code, text) = outcome else { throw overdue("reconfigure") }
        guard code != egp_code(EGP_OK) else { return }
        throw ProviderError(ResultCode(failureCode: code), text.isEmpty ? "refused the settings" : text)
    }

    /// Sendable: a C function pointer, called on the host thread.
    private struct RawReconfigure: @unchecked Sendable {
        var function: @convention(c) (OpaquePointer, egp_bytes, UnsafeMutablePointer<egp_message>) -> egp_code
    }

    private func overdue(_ function: String) -> ProviderError {
        ProviderError(
            .retry, "its \(function) did not return within \(limits.inside), or the plugin is stuck or ending")
    }

    // MARK: - Verbs

    /// Sendable: a C function pointer that the ABI tags [any-thread].
    private struct RawVerb: @unchecked Sendable {
        var function: egp_verb
    }

    private func function(_ operation: PluginOperation) -> RawVerb? {
        let function =
            switch operation {
            case .probe: image.provider.probe
            case .verb(let capability, let verb): tables[capability]?.function(verb)
            }
        return function.map { RawVerb(function: $0) }
    }

    func start(_ call: OutgoingCall) {
        guard let verb = function(call.operation) else {
            host.refuse(call.ticket, .unsupported, "does not offer the verb \(call.operation)")
            return
        }
        _ = unseen.withLock { $0.insert(call.ticket) }
        let accepted = verbThreads.run(
            { [self] in
                _ = unseen.withLock { $0.remove(call.ticket) }
                // Given up while it waited for a thread: the plugin need not hear of it.
                if host.isCancelled(call.ticket) {
                    host.refuse(call.ticket, .cancelled, nil)
                } else {
                    enter(verb, call)
                }
            },
            dropped: { [self] in
                _ = unseen.withLock { $0.remove(call.ticket) }
                host.refuse(call.ticket, .cancelled, "stopped")
            })
        guard !accepted else { return }
        _ = unseen.withLock { $0.remove(call.ticket) }
        host.refuse(
            call.ticket, .retry,
            "is ending, or all its \(limits.verbThreads) threads are inside verbs that do not return")
    }

    private func enter(_ verb: RawVerb, _ call: OutgoingCall) {
        let code = Borrowed.lend(call.request, isChecked) { request in
            Borrowed.lend(Data(call.trace.utf8), isChecked) { trace in
                var raw = egp_call(
                    size: UInt32(MemoryLayout<egp_call>.size), flags: 0, ticket: call.ticket,
                    deadline_ns: call.deadline.nanoseconds, trace: trace)
                return hostTable.inside(.verb) { verb.function(instance.pointer, &raw, request) }
            }
        }
        guard code != egp_code(EGP_OK) else { return }
        host.refuse(call.ticket, ResultCode(failureCode: code), nil)
    }

    func cancel(_ ticket: UInt64) {
        guard !unseen.withLock({ $0.contains(ticket) }) else { return }
        // Where this thread hangs, too, nobody can tell the plugin anything; it is a hint.
        _ = cancelThread.run { [hostTable, image, instance] in
            hostTable.inside(.verb) { image.provider.cancel?(instance.pointer, ticket) }
        }
    }

    // MARK: - End

    func close() async -> Bool {
        // One budget for all that may still be inside, and one for destroy.
        let end = HostClock.now().advanced(by: limits.inside)
        func rest() -> Duration { max(.zero, HostClock.now().duration(to: end)) }
        var isFree = await cancelThread.end(afterWaitingWithin: rest())
        isFree = await verbThreads.end(within: rest()) && isFree
        isFree = await host.endCallbacks(within: rest()) && isFree
        if isFree {
            isFree =
                await hostThread.call(within: limits.inside) { [hostTable, image, instance] in
                    hostTable.inside(.host) { image.provider.destroy?(instance.pointer) }
                    return true
                } ?? false
        }
        hostTable.revoke()
        // The thread that destroy returned on is not quite out of its job when the result is here.
        return await hostThread.end(within: isFree ? limits.inside : .zero) && isFree
    }

    /// Lends a buffer for a text to a function of the plugin.
    private static func message(_ body: (UnsafeMutablePointer<egp_message>) -> egp_code) -> (egp_code, String) {
        var text = [UInt8](repeating: 0, count: Int(EGP_MAXIMUM_MESSAGE))
        return text.withUnsafeMutableBufferPointer { buffer in
            var message = egp_message(buffer: buffer.baseAddress, capacity: UInt64(buffer.count), length: 0)
            let code = body(&message)
            let written = Int(min(message.length, UInt64(buffer.count)))
            return (code, String(decoding: buffer[..<written], as: UTF8.self))
        }
    }
}

extension ResultCode {
    /// The meaning of a code that is not EGP_OK; a number outside the closed set is terminal (H-13).
    init(failureCode: egp_code) {
        let known = ResultCode(borderCode: failureCode) ?? .terminal
        self = known == .ok ? .terminal : known
    }
}
