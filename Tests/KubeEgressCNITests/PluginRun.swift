import Foundation
import Testing

/// One run of the built executable, as a container runtime starts it.
struct PluginRun {
    var exitCode: Int32
    var output: String
    var duration: Duration

    /// The JSON object on standard output.
    var object: [String: Any] {
        get throws {
            let value = try JSONSerialization.jsonObject(with: Data(output.utf8))
            return try #require(value as? [String: Any])
        }
    }

    static var executable: URL {
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let beside = [
            tests.deletingLastPathComponent(), Bundle.main.bundleURL, Bundle.main.bundleURL.deletingLastPathComponent(),
        ]
        let arguments = CommandLine.arguments.map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
        let candidates = (beside + arguments).map { $0.appendingPathComponent("kube-egress-cni") }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) } ?? candidates[0]
    }

    /// Runs the executable off the cooperative pool.
    static func start(_ environment: [String: String], _ input: Data) async throws -> PluginRun {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try run(environment, input) })
            }
        }
    }

    private static func run(_ environment: [String: String], _ input: Data) throws -> PluginRun {
        let process = Process()
        process.executableURL = executable
        process.environment = environment
        // A file, not a pipe: the executable may end before it has read everything.
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("kegwt-ro-\(UUID().uuidString)")
        try input.write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        process.standardInput = try FileHandle(forReadingFrom: file)
        let standardOutput = Pipe()
        process.standardOutput = standardOutput
        let clock = ContinuousClock()
        let start = clock.now
        try process.run()
        let output = standardOutput.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return PluginRun(
            exitCode: process.terminationStatus, output: String(decoding: output, as: UTF8.self),
            duration: start.duration(to: clock.now))
    }
}

/// The environment of one command for a pod, as containerd sets it.
func environment(_ command: String, without missing: String? = nil) -> [String: String] {
    var variables = [
        "CNI_COMMAND": command, "CNI_CONTAINERID": "c0ffee", "CNI_NETNS": "/run/netns/pod", "CNI_IFNAME": "eth0",
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=web-0", "CNI_PATH": "/opt/cni/bin",
        "PATH": "/usr/bin", "SECRET_OF_THE_RUNTIME": "never to be relayed",
    ]
    if let missing { variables[missing] = nil }
    return variables
}

func configuration(socketPath: String, extra: String = "") -> Data {
    Data(
        #"{"cniVersion":"1.0.0","name":"podnet","type":"kube-egress-cni","socketPath":"\#(socketPath)"\#(extra)}"#.utf8)
}
