import ArgumentParser
import Foundation
import Glibc

/// Runs the manager's production code in simulated worlds and judges what came of it. docs/reconcile.md tells how.
struct ReconcileSimulation: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reconcile-sim",
        abstract: "Run the manager in simulated worlds with faults; a seed replays exactly.")

    @Option(help: "Run one seed and print its trace.")
    var seed: UInt64?

    @Option(help: "Run this many seeds.")
    var seeds: UInt64 = 1

    @Option(help: "First of the seeds; without it a random one.")
    var from: UInt64?

    @Flag(help: "Stop at the first seed that fails.")
    var untilFailure = false

    @Option(help: "Put in a defect: \(Plant.allCases.map(\.rawValue).joined(separator: ", ")).")
    var plant = "none"

    @Option(help: "Run a script and print its trace; --seed says in which order tasks run.")
    var script: String?

    mutating func run() throws {
        guard let plant = Plant(rawValue: plant) else {
            throw ValidationError("--plant is \"\(plant)\"; see --help for what is allowed")
        }
        JobQueue.install()
        if let script { return try Self.run(script, seed: seed ?? 1) }
        if let seed {
            let check = SeedCheck(seed: seed, plant: plant, trace: Trace { print($0) })
            Self.tell(check)
            if !check.failures.isEmpty { throw ExitCode.failure }
            return
        }
        let first = from ?? UInt64.random(in: 0...1_000_000_000)
        var failed: UInt64 = 0
        for seed in first..<first + seeds {
            let check = SeedCheck(seed: seed, plant: plant)
            guard !check.failures.isEmpty else { continue }
            failed += 1
            Self.tell(check)
            if untilFailure { break }
        }
        print("\(seeds) seeds, \(failed) failed")
        if failed > 0 { throw ExitCode.failure }
    }

    private static func run(_ file: String, seed: UInt64) throws {
        do {
            let text = try String(contentsOf: URL(filePath: file), encoding: .utf8)
            try ScriptRun.run(try Script(file: file, text: text), seed: seed, trace: Trace { print($0) })
            print("\(file): it holds")
        } catch {
            print(error)
            throw ExitCode.failure
        }
    }

    private static func tell(_ check: SeedCheck) {
        let seconds = check.report.endedAt.components.seconds
        let hash = String(check.report.hash, radix: 16)
        print("seed \(check.seed): \(check.report.traceLines) lines, hash \(hash), \(seconds) virtual seconds")
        for failure in check.failures { print("  FAILED: \(failure)") }
        if !check.failures.isEmpty { print("  replay: swift run reconcile-sim --seed \(check.seed)") }
    }
}

// Hashes of the standard library are random per process unless this is set before it starts, and with them the order
// of every dictionary.
if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
    setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    execv("/proc/self/exe", CommandLine.unsafeArgv)
    perror("reconcile-sim: cannot start itself again")
    exit(1)
}
ReconcileSimulation.main()
