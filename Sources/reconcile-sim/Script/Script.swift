import Foundation
import Reconcile

/// What is wrong with a script, or with the world that it was run in.
struct ScriptError: Error, CustomStringConvertible {
    let file: String
    /// From 1 on.
    let line: Int
    let message: String

    var description: String { "\(file):\(line): \(message)" }
}

/// A story about a cluster, as text: what is done to it, and what is then so. docs/reconcile.md has the language.
struct Script {
    struct Line {
        var number: Int
        var text: String
        var action: ScriptAction
    }

    let file: String
    let lines: [Line]

    /// - Throws: ``ScriptError`` for the first line that says nothing known.
    init(file: String, text: String) throws {
        self.file = file
        lines = try text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap {
            let line = $1.prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces)
            guard !line.isEmpty else { return nil }
            do {
                return Line(number: $0 + 1, text: line, action: try ScriptAction(line.split(separator: " ")))
            } catch let error as ScriptGrammarError {
                throw ScriptError(file: file, line: $0 + 1, message: error.message)
            }
        }
    }

    /// How many managers it names; two elect a leader.
    var managers: Set<String> {
        Set(
            lines.compactMap { line in
                if case .start(let manager) = line.action { return manager }
                return nil
            })
    }
}

/// One line of a script.
enum ScriptAction: Equatable {
    case pool(String, machines: Int)
    case prefix(String, String)
    case start(String)
    case stop(String)
    case kill(String)
    case killAfter(String, writes: Int)
    case freeze(String, seconds: Int)
    case cutOff(String, seconds: Int)
    case create(ObjectKey, pool: String, prefix: String?)
    case change(ObjectKey)
    case delete(ObjectKey)
    case addMachine(pool: String)
    case removeMachine(String)
    case replaceMachine(String)
    /// nil: it works.
    case cloud(FaultSource.CloudFault?)
    case server(works: Bool)
    case remember(ObjectKey)
    case wait(seconds: Int)
    case waitUntil(ScriptCondition)
    case expect(ScriptCondition)

    init(_ words: [Substring]) throws {
        if words.starts(with: ["wait", "until"]) {
            self = .waitUntil(try ScriptCondition(Array(words.dropFirst(2))))
        } else if words.first == "expect" {
            self = .expect(try ScriptCondition(Array(words.dropFirst())))
        } else {
            self = try ScriptForm.read(words, as: Self.forms)
        }
    }

    static let forms: [ScriptForm<ScriptAction>] = [
        ScriptForm("pool POOL with N machines") { .pool($0[0], machines: $0.number(1)) },
        ScriptForm("prefix NAME is CIDR") { .prefix($0[0], $0[1]) },
        ScriptForm("start manager MANAGER") { .start($0[0]) },
        ScriptForm("stop manager MANAGER") { .stop($0[0]) },
        ScriptForm("kill manager MANAGER") { .kill($0[0]) },
        ScriptForm("kill manager MANAGER after N writes") { .killAfter($0[0], writes: $0.number(1)) },
        ScriptForm("freeze manager MANAGER for N seconds") { .freeze($0[0], seconds: $0.number(1)) },
        ScriptForm("cut manager MANAGER off for N seconds") { .cutOff($0[0], seconds: $0.number(1)) },
        ScriptForm("create gateway GATEWAY on pool POOL") { .create($0.key(0), pool: $0[1], prefix: nil) },
        ScriptForm("create gateway GATEWAY on pool POOL with prefix NAME") {
            .create($0.key(0), pool: $0[1], prefix: $0[2])
        },
        ScriptForm("change gateway GATEWAY") { .change($0.key(0)) },
        ScriptForm("delete gateway GATEWAY") { .delete($0.key(0)) },
        ScriptForm("add machine to POOL") { .addMachine(pool: $0[0]) },
        ScriptForm("remove machine MACHINE") { .removeMachine($0[0]) },
        ScriptForm("replace machine MACHINE") { .replaceMachine($0[0]) },
        ScriptForm("cloud works") { _ in .cloud(nil) },
        ScriptForm("cloud refuses every write") { _ in .cloud(.refused) },
        ScriptForm("cloud throttles every write") { _ in .cloud(.throttled) },
        ScriptForm("cloud loses every answer") { _ in .cloud(.lostAnswer) },
        ScriptForm("server works") { _ in .server(works: true) },
        ScriptForm("server refuses every request") { _ in .server(works: false) },
        ScriptForm("remember the prefix of GATEWAY") { .remember($0.key(0)) },
        ScriptForm("wait N seconds") { .wait(seconds: $0.number(0)) },
    ]
}

/// Something that holds in a world or does not.
enum ScriptCondition: Equatable {
    case ready(ObjectKey)
    case notReady(ObjectKey)
    case fails(ObjectKey, reason: String)
    case there(ObjectKey)
    case gone(ObjectKey)
    case hasPrefix(ObjectKey, String)
    case hasRememberedPrefix(ObjectKey)
    case addresses(machine: String, Int)
    case addressesOfAll(pool: String, Int)
    case cloudIsEmpty
    case cloudIsNotEmpty
    case noSecrets
    case leads(String)
    case doesNotLead(String)
    case nobodyLeads
    case event(type: String, reason: String, ObjectKey)
    case settled

    init(_ words: [Substring]) throws { self = try ScriptForm.read(words, as: Self.forms) }

    static let forms: [ScriptForm<ScriptCondition>] = [
        ScriptForm("gateway GATEWAY is ready") { .ready($0.key(0)) },
        ScriptForm("gateway GATEWAY is not ready") { .notReady($0.key(0)) },
        ScriptForm("gateway GATEWAY is there") { .there($0.key(0)) },
        ScriptForm("gateway GATEWAY is gone") { .gone($0.key(0)) },
        ScriptForm("gateway GATEWAY fails with REASON") { .fails($0.key(0), reason: $0[1]) },
        ScriptForm("gateway GATEWAY has prefix CIDR") { .hasPrefix($0.key(0), $0[1]) },
        ScriptForm("gateway GATEWAY has the remembered prefix") { .hasRememberedPrefix($0.key(0)) },
        ScriptForm("machine MACHINE has N addresses") { .addresses(machine: $0[0], $0.number(1)) },
        ScriptForm("machines of POOL have N addresses") { .addressesOfAll(pool: $0[0], $0.number(1)) },
        ScriptForm("no cloud resources") { _ in .cloudIsEmpty },
        ScriptForm("some cloud resources") { _ in .cloudIsNotEmpty },
        ScriptForm("no secrets") { _ in .noSecrets },
        ScriptForm("manager MANAGER leads") { .leads($0[0]) },
        ScriptForm("manager MANAGER does not lead") { .doesNotLead($0[0]) },
        ScriptForm("nobody leads") { _ in .nobodyLeads },
        ScriptForm("event TYPE REASON on GATEWAY") { .event(type: $0[0], reason: $0[1], $0.key(2)) },
        ScriptForm("nothing is left open") { _ in .settled },
    ]
}
