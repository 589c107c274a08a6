import Foundation
import Glibc
import Testing

@testable import Lab

/// The embedded server as a process of its own, which is killed at random moments while clients write.
@Suite("Killing the server")
struct ServerKillTests {
    private static let writers = 4
    private static let rounds = 6

    /// What one client knows of its objects: nobody else writes them.
    private struct Ledger: Sendable {
        struct Entry: Sendable {
            /// The last write that the server acknowledged; nil: the deletion.
            var value: Int?
            var version: Int
            /// A write that was sent and not answered; the server may have taken it or not. Nil: none.
            var pending: Pending?
        }

        enum Pending: Sendable, Equatable {
            case value(Int)
            case deletion
        }

        var entries: [String: Entry] = [:]
        /// Number of the next write; no value is written twice.
        var next = 0
        var acknowledged = 0
    }

    @Test(.embeddedOnly) func noAcknowledgedWriteIsLost() async throws {
        let folder = NSTemporaryDirectory() + "apiserver-kill-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let client = RawHTTPClient(address: .unix(path: folder + "/api.sock"))
        var ledgers = [Ledger](repeating: Ledger(), count: Self.writers)
        var highest = 0
        for round in 0..<Self.rounds {
            // A start may be cut short as well.
            let early = try Self.start(folder)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...80)))
            await Self.kill(early)

            let process = try Self.start(folder)
            try await Self.waitUntilReady(client)
            if round == 0 {
                let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
                #expect(try await client.send("POST", definitions, Samples.definition).status == 201)
            }
            let version = try await Self.settle(&ledgers, client)
            #expect(version >= highest)
            if round > 0 {
                // The history of watches went with the process that had it.
                let old = try await client.send("GET", "\(ServerHarness.gateways)?watch=1&resourceVersion=2")
                #expect(old.status == 410)
            }
            let (begun, known) = (ledgers, version)
            let writing = Task {
                await withTaskGroup(of: (Int, Ledger).self) { group in
                    for (index, ledger) in begun.enumerated() {
                        group.addTask { (index, await Self.write(client, index, ledger, after: known)) }
                    }
                    return await group.reduce(into: begun) { $0[$1.0] = $1.1 }
                }
            }
            try await Task.sleep(for: .milliseconds(Int.random(in: 100...500)))
            await Self.kill(process)
            ledgers = await writing.value
            highest = ledgers.flatMap(\.entries.values).map(\.version).max() ?? 0
        }
        let process = try Self.start(folder)
        try await Self.waitUntilReady(client)
        let version = try await Self.settle(&ledgers, client)
        #expect(version >= highest)
        await Self.kill(process)
        #expect(ledgers.allSatisfy { $0.acknowledged > 0 })
    }

    private static func start(_ folder: String) throws -> Process {
        let products = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let process = Process()
        process.executableURL = products.appending(path: "egressctl")
        process.arguments = ["lab", "apiserver", "--storage", folder + "/storage", "--socket", folder + "/api.sock"]
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return process
    }

    private static func kill(_ process: Process) async {
        Glibc.kill(process.processIdentifier, SIGKILL)
        while process.isRunning { try? await Task.sleep(for: .milliseconds(5)) }
    }

    private static func waitUntilReady(_ client: RawHTTPClient) async throws {
        for _ in 0..<1000 {
            if (try? await client.send("GET", "/readyz").text) == "ok" { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the server did not come up in 20 s")
    }

    /// Creates, changes and deletes objects until the server is gone.
    private static func write(_ client: RawHTTPClient, _ writer: Int, _ ledger: Ledger, after: Int) async -> Ledger {
        var ledger = ledger
        var last = after
        while true {
            let step = ledger.next
            ledger.next += 1
            let name = "g\(writer)-\(step % 7)"
            let path = "\(ServerHarness.gateways)/\(name)"
            let entry = ledger.entries[name]
            let isThere = entry?.value != nil
            let isDeletion = isThere && step % 5 == 4
            ledger.entries[name, default: .init(value: nil, version: 0)].pending =
                isDeletion ? .deletion : .value(step)
            let body = Samples.gateway(name, spec: ["gatewayNodepoolName": .string("\(step)")])
            let answer: RawHTTPClient.Answer?
            if isDeletion {
                answer = try? await client.send("DELETE", path)
            } else if isThere {
                answer = try? await client.send(
                    "PATCH", path, ["spec": body["spec"] ?? [:]], contentType: "application/merge-patch+json")
            } else {
                answer = try? await client.send("POST", ServerHarness.gateways, body)
            }
            // Cut off before the whole answer: not acknowledged.
            guard let answer, !answer.json.isNull else { return ledger }
            #expect([200, 201].contains(answer.status), "\(answer.text)")
            if !isDeletion {
                let version = number(answer.json[path: "metadata", "resourceVersion"])
                #expect(version > last)
                last = version
            }
            ledger.entries[name] = .init(value: isDeletion ? nil : step, version: last)
            ledger.acknowledged += 1
        }
    }

    /// Holds what the server has against what clients were told, and settles what they were not told.
    ///
    /// - Returns: The revision of the server.
    private static func settle(_ ledgers: inout [Ledger], _ client: RawHTTPClient) async throws -> Int {
        let list = try await client.send("GET", ServerHarness.gateways).json
        let stored = Dictionary(
            (list["items"]?.arrayValue ?? []).map { ($0[path: "metadata", "name"]?.stringValue ?? "", $0) }
        ) { first, _ in first }
        for index in ledgers.indices {
            for (name, entry) in ledgers[index].entries {
                let value = stored[name]?[path: "spec", "gatewayNodepoolName"]?.stringValue.flatMap { Int($0) }
                let version = number(stored[name]?[path: "metadata", "resourceVersion"])
                if value == entry.value {
                    #expect(value == nil || version == entry.version, "\(name)")
                } else {
                    let landed: Ledger.Pending = value.map { .value($0) } ?? .deletion
                    #expect(landed == entry.pending, "\(name) was acknowledged as \(entry.value ?? -1)")
                    #expect(value == nil || version > entry.version, "\(name)")
                }
                ledgers[index].entries[name] = .init(value: value, version: max(version, entry.version))
            }
        }
        return number(list[path: "metadata", "resourceVersion"])
    }

    private static func number(_ version: APIValue?) -> Int { version?.stringValue.flatMap { Int($0) } ?? 0 }
}
