import FoundationEssentials
import ProviderKit

/// A plugin instance in a process of its own (`isolation: process`): the same image, the same table, the same calls, as
/// frames over a socket pair. ``ChildSupervisor`` keeps the process alive.
final class ChildTransport: PluginTransport {
    let descriptor: ProviderDescriptor
    let offered: [String: Set<Verb>]
    let offersProbe: Bool

    private let supervisor: ChildSupervisor
    private let services: InstanceServices

    /// Starts the process and makes the instance in it.
    ///
    /// - Throws: ``ProviderError`` with the plugin's own code and message.
    init(
        entry: PluginEntry, rules: LoadingRules, program: String, memoryLimit: Int, services: InstanceServices
    ) async throws {
        self.services = services
        supervisor = ChildSupervisor(
            entry: entry, rules: rules, program: program, memoryLimit: memoryLimit, services: services)
        let description = try await supervisor.start()
        descriptor = description.descriptor
        offered = description.offered
        offersProbe = description.offersProbe
    }

    func start(_ call: OutgoingCall) { supervisor.start(call) }

    func cancel(_ ticket: UInt64) { supervisor.cancel(ticket) }

    func validate(_ configuration: Data) async throws -> [ConfigurationMistake] {
        let answer = try await supervisor.ask(.validate, configuration)
        return try JSONDecoder().decode([ConfigurationMistake].self, from: answer.blob(1))
    }

    func reconfigure(_ configuration: Data) async throws {
        _ = try await supervisor.ask(.reconfigure, configuration)
        supervisor.restart(with: configuration)
    }

    func close() async -> Bool { await supervisor.close() }
}

/// What a plugin's process told of itself when it came up.
struct ChildDescription: Codable, Sendable, Equatable {
    var descriptor: ProviderDescriptor
    var offered: [String: Set<Verb>]
    var offersProbe: Bool
}

extension PluginCompletion {
    /// The two as a frame's members, after the ticket.
    func frame(_ ticket: UInt64) -> IsolationFrame {
        IsolationFrame(
            .completed,
            [
                Int64(bitPattern: ticket), Int64(code.borderCode), Int64(retryAfterMilliseconds ?? -1),
            ], [result, Data(message.utf8), Data((reason ?? "").utf8)])
    }

    init(_ frame: IsolationFrame) throws {
        let delay = try frame.integer(2)
        let reason = try frame.text(2)
        self.init(
            code: ResultCode(borderCode: Int32(truncatingIfNeeded: try frame.integer(1))) ?? .terminal,
            result: try frame.blob(0), message: try frame.text(1),
            retryAfterMilliseconds: delay < 0 ? nil : Int(delay), reason: reason.isEmpty ? nil : reason)
    }
}

extension OutgoingCall {
    var frame: IsolationFrame {
        let (capability, verb) =
            switch operation {
            case .verb(let capability, let verb): (capability, verb.rawValue)
            case .probe: ("", "probe")
            }
        return IsolationFrame(
            .call, [Int64(bitPattern: ticket), deadline.nanoseconds],
            [Data(capability.utf8), Data(verb.utf8), Data(trace.utf8), request])
    }

    init(_ frame: IsolationFrame) throws {
        let name = try frame.text(1)
        let operation: PluginOperation
        if let verb = Verb(rawValue: name) {
            operation = .verb(capability: try frame.text(0), verb)
        } else if name == "probe" {
            operation = .probe
        } else {
            throw IsolationFrame.malformed
        }
        self.init(
            operation: operation, ticket: UInt64(bitPattern: try frame.integer(0)),
            deadline: HostInstant(nanoseconds: try frame.integer(1)), trace: try frame.text(2),
            request: try frame.blob(3))
    }
}
