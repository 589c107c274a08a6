import FoundationEssentials
import Logging
import ProviderAPI
import ProviderKit
import Synchronization

/// A plugin instance in this process, reached through its C table.
///
/// Sendable: the raw instance pointer is only passed to functions that the ABI tags [any-thread], except create, which
/// `init` calls once, and destroy, which whoever leaves last after ``close()`` calls once (see ``lend(_:)``).
final class InProcessTransport: PluginTransport, @unchecked Sendable {
    let descriptor: ProviderDescriptor
    let offered: [String: Set<Verb>]

    private let image: PluginImage
    private let instance: OpaquePointer
    private let tables: [String: egp_capability]
    private let services: InstanceServices
    private let lifetime = Mutex(Lifetime())

    /// Who is inside the plugin with the instance's pointer.
    private struct Lifetime {
        var isClosing = false
        var users = 0
        var waiting: CheckedContinuation<Void, Never>?

        mutating func enter() -> Bool {
            if isClosing { return false }
            users += 1
            return true
        }
    }

    /// Makes the instance.
    ///
    /// - Throws: ``ProviderError`` with the plugin's own code and message.
    init(image: PluginImage, configuration: Data, services: InstanceServices) async throws {
        let made = try Self.create(image, configuration, services)
        self.image = image
        self.services = services
        descriptor = image.descriptor
        instance = made
        var tables: [String: egp_capability] = [:]
        for identifier in image.descriptor.capabilities {
            tables[identifier] = Self.table(identifier, image, made, services)
        }
        self.tables = tables
        offered = tables.mapValues { table in Set(Verb.allCases.filter { Self.function($0, table) != nil }) }
    }

    var offersProbe: Bool { image.provider.probe != nil }

    private static func create(
        _ image: PluginImage, _ configuration: Data, _ services: InstanceServices
    ) throws -> OpaquePointer {
        var raw: OpaquePointer?
        let (code, text) = message { message in
            configuration.withBorderBytes { configuration in
                image.provider.create?(services.makeTable(), configuration, &raw, message)
                    ?? egp_code(EGP_UNSUPPORTED)
            }
        }
        if code == egp_code(EGP_OK), let raw { return raw }
        throw ProviderError(ResultCode(failureCode: code), text.isEmpty ? "refused to start" : text)
    }

    /// A copy of the vtable of a capability, nil if the instance does not offer it.
    private static func table(
        _ identifier: String, _ image: PluginImage, _ instance: OpaquePointer, _ services: InstanceServices
    ) -> egp_capability? {
        guard let table = identifier.withBorderBytes({ image.provider.capability?(instance, $0) }) else { return nil }
        // Read before the rest, which may not be there.
        guard table.pointee.size >= UInt32(MemoryLayout<egp_capability>.size) else {
            services.logger.error(
                "plugin's table of verbs is too small", metadata: ["capability": .string(identifier)])
            return nil
        }
        return table.pointee
    }

    private static func function(_ verb: Verb, _ table: egp_capability) -> egp_verb? {
        switch verb {
        case .ensure: table.ensure
        case .remove: table.remove
        case .check: table.check
        case .prune: table.prune
        case .status: table.status
        }
    }

    private func function(_ operation: PluginOperation) -> egp_verb? {
        switch operation {
        case .probe: image.provider.probe
        case .verb(let capability, let verb): tables[capability].flatMap { Self.function(verb, $0) }
        }
    }

    func start(_ call: OutgoingCall) {
        guard let function = function(call.operation) else {
            services.refuse(call.ticket, .unsupported)
            return
        }
        let code = lend { instance in
            call.request.withBorderBytes { request in
                call.trace.withBorderBytes { trace in
                    var raw = egp_call(
                        size: UInt32(MemoryLayout<egp_call>.size), flags: 0, ticket: call.ticket,
                        deadline_ns: call.deadline.nanoseconds, trace: trace)
                    return function(instance, &raw, request)
                }
            }
        }
        guard code != egp_code(EGP_OK) else { return }
        services.refuse(call.ticket, code.map { ResultCode(failureCode: $0) } ?? .cancelled)
    }

    func cancel(_ ticket: UInt64) {
        lend { image.provider.cancel?($0, ticket) }
    }

    func validate(_ configuration: Data) async throws -> [ConfigurationMistake] {
        try image.validate(configuration)
    }

    func reconfigure(_ configuration: Data) async throws {
        guard let reconfigure = image.provider.reconfigure else {
            throw ProviderError(.unsupported, "it takes no other settings while it lives")
        }
        let (code, text) = Self.message { message in
            configuration.withBorderBytes { configuration in
                lend { reconfigure($0, configuration, message) } ?? egp_code(EGP_CANCELLED)
            }
        }
        guard code != egp_code(EGP_OK) else { return }
        throw ProviderError(ResultCode(failureCode: code), text.isEmpty ? "refused the settings" : text)
    }

    func close() async -> Bool {
        await withCheckedContinuation { continuation in
            let isIdle = lifetime.withLock { lifetime in
                lifetime.isClosing = true
                if lifetime.users > 0 { lifetime.waiting = continuation }
                return lifetime.users == 0
            }
            if isIdle { continuation.resume() }
        }
        image.provider.destroy?(instance)
        return true
    }

    /// Lends the instance to one call into the plugin; nil once it is closing. A call that is inside while ``close()``
    /// comes keeps the instance alive until it is out.
    @discardableResult
    private func lend<R>(_ body: (OpaquePointer) -> R) -> R? {
        guard lifetime.withLock({ $0.enter() }) else { return nil }
        defer {
            let waiting = lifetime.withLock { lifetime in
                lifetime.users -= 1
                return lifetime.users == 0 ? lifetime.waiting.take() : nil
            }
            waiting?.resume()
        }
        return body(instance)
    }

    /// Lends a buffer for a text to a function of the plugin.
    static func message(_ body: (UnsafeMutablePointer<egp_message>) -> egp_code) -> (egp_code, String) {
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
