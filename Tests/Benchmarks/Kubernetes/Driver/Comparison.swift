import FoundationEssentials
import Glibc

/// The two sides.
enum Side: CaseIterable {
    case ours
    case clientGo

    var title: String { self == .ours ? "ours" : "client-go" }
}

/// One job as both sides do it.
struct Measure {
    var job: ClientJob
    /// Whether the server offers streaming lists.
    var streams: Bool
    var rounds: Int

    static let burstKeys = 1_000
    static let burstRounds = 10
}

/// What a side needed, in the median of the rounds.
struct Figures {
    /// Seconds from the start of the process to the complete store.
    var synced: Double
    var peakMiB: Double
    var settledMiB: Double
    var reconcilesPerSecond: Double
    var runsPerKey: Double
    var latencyP50: Double
    var latencyP99: Double
}

/// Runs both sides in turns, each run with processes and a server of its own: what else the machine does meets both.
struct Comparison {
    /// The folder with `load-server` and `client-go-peer`.
    let peers: String
    let objects = 50_000

    /// - Throws: ``BenchError`` if a side did not do its job: lost an object, or read another state than was sent.
    func run(_ measure: Measure) throws -> [Side: Figures] {
        var runs: [Side: [Figures]] = [:]
        for round in 0..<measure.rounds {
            for side in round.isMultiple(of: 2) ? Side.allCases : Side.allCases.reversed() {
                runs[side, default: []].append(try once(measure, side))
            }
        }
        return runs.mapValues(Self.median)
    }

    private struct Greeting: Decodable {
        var port: Int
        var checksum: String
    }

    private func once(_ measure: Measure, _ side: Side) throws -> Figures {
        let server = try ChildProcess(
            pinned(["\(peers)/load-server", "-objects", "\(objects)", "-stream=\(measure.streams)"], to: 1))
        defer { server.end() }
        let greeting = try Self.decode(Greeting.self, try server.line(within: 60))
        let address = "http://127.0.0.1:\(greeting.port)"
        let began = monotonic()
        let process = try start(side, measure, address)
        defer { process.end() }
        let result = try Self.decode(ClientResult.self, try process.line(within: 180))
        let expected = measure.job == .burst ? result.expectedChecksum : greeting.checksum
        guard result.objects == objects, result.checksum == expected, !expected.isEmpty else {
            throw BenchError(
                description: "\(side.title), \(measure.job.rawValue): \(result.objects) objects with checksum "
                    + "\(result.checksum); expected \(objects) with \(expected)")
        }
        guard measure.job != .burst || result.keys == Measure.burstKeys else {
            throw BenchError(
                description: "\(side.title): a burst reached \(result.keys) keys of \(Measure.burstKeys)")
        }
        return Figures(
            synced: Double(result.syncedAt - began) / 1e9, peakMiB: Double(result.peakKiB) / 1024,
            settledMiB: Double(result.settledKiB) / 1024, reconcilesPerSecond: result.reconcilesPerSecond,
            runsPerKey: Double(result.runs) / Double(max(result.keys, 1)), latencyP50: result.latencyP50,
            latencyP99: result.latencyP99)
    }

    private func start(_ side: Side, _ measure: Measure, _ address: String) throws -> ChildProcess {
        let (job, keys, rounds) = (measure.job.rawValue, "\(Measure.burstKeys)", "\(Measure.burstRounds)")
        switch side {
        case .ours:
            return try ChildProcess(pinned(["/proc/self/exe", "client", address, job, keys, rounds], to: 0))
        case .clientGo:
            return try ChildProcess(
                pinned(
                    ["\(peers)/client-go-peer", "-server", address, "-job", job, "-keys", keys, "-rounds", rounds],
                    to: 0),
                environment: ["GOMAXPROCS=1"])
        }
    }

    /// On a machine with one processor the two share it.
    private func pinned(_ command: [String], to processor: Int) throws -> [String] {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let index = min(processor, sysconf(CInt(_SC_NPROCESSORS_ONLN)) - 1)
        return ["taskset", "-c", "\(index)"] + command.map { $0 == "/proc/self/exe" ? own : $0 }
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ line: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(line.utf8))
    }

    private static func median(_ runs: [Figures]) -> Figures {
        func middle(_ figure: (Figures) -> Double) -> Double { runs.map(figure).sorted()[runs.count / 2] }
        return Figures(
            synced: middle(\.synced), peakMiB: middle(\.peakMiB), settledMiB: middle(\.settledMiB),
            reconcilesPerSecond: middle(\.reconcilesPerSecond), runsPerKey: middle(\.runsPerKey),
            latencyP50: middle(\.latencyP50), latencyP99: middle(\.latencyP99))
    }
}
