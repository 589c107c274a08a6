import FoundationEssentials
import Glibc

/// Compares this project's list-watch and reconcile runtime with a peer in Go that does the same with client-go, against
/// the same load server. Exit status 1: a limit is broken; 2: nothing could be measured.
///
/// usage: kubernetes-bench PEERS        measures; PEERS is the folder with load-server and client-go-peer
///        kubernetes-bench idle         measures the idle manager alone
///        kubernetes-bench client SERVER JOB KEYS ROUNDS   one side of one measurement, in a process of its own
///        kubernetes-bench world FOLDER DEFINITIONS SECONDS   what is around the idle manager, in a process of its own
@main
enum KubernetesBench {
    static func main() async {
        do {
            let arguments = CommandLine.arguments.dropFirst()
            if arguments.first == "client" {
                try await client(Array(arguments.dropFirst()))
            } else if arguments.first == "world" {
                try await world(Array(arguments.dropFirst()))
            } else if arguments == ["idle"] {
                exit(Driver.report(try IdleManager.measure()) ? 0 : 1)
            } else if let peers = arguments.first, arguments.count == 1 {
                exit(try Driver(peers: peers).run() ? 0 : 1)
            } else {
                throw BenchError(description: "usage: kubernetes-bench PEERS|idle")
            }
        } catch {
            var message = "kubernetes-bench: \(error)\n"
            message.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
            exit(2)
        }
    }

    private static func client(_ arguments: [String]) async throws {
        guard arguments.count == 4, let job = ClientJob(rawValue: arguments[1]), let keys = Int(arguments[2]),
            let rounds = Int(arguments[3])
        else { throw BenchError(description: "usage: kubernetes-bench client SERVER cold|no-op|burst KEYS ROUNDS") }
        let client = try BenchClient(server: arguments[0], wait: .milliseconds(1))
        let result = try await client.run(job, keys: keys, rounds: rounds)
        try await client.close()
        print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
    }

    private static func world(_ arguments: [String]) async throws {
        guard arguments.count == 3, let seconds = Int(arguments[2]) else {
            throw BenchError(description: "usage: kubernetes-bench world FOLDER DEFINITIONS SECONDS")
        }
        try await IdleWorld.run(
            IdlePlan(), folder: arguments[0], definitions: arguments[1], seconds: seconds)
    }
}
