import Foundation
import LinuxNet
import Logging
import Testing

@testable import Lab

@Suite("API server over etcd")
struct KubernetesAPIServerTests {
    private static func scratch() throws -> String {
        let folder = NSTemporaryDirectory() + "kas-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test(arguments: ["library-server", "kube-apiserver"])
    func aMissingBuildNamesTheCommandThatMakesIt(_ program: String) throws {
        let cache = try Self.scratch()
        defer { try? FileManager.default.removeItem(atPath: cache) }
        let error = #expect(throws: LabError.self) {
            try KubernetesAPIServer.Programs.find(program, environment: ["XDG_CACHE_HOME": cache, "HOME": "/nowhere"])
        }
        #expect(error?.advice.contains("make apiserver") == true)
        #expect(error?.message.contains(cache) == true)
        let folder = cache + "/egress-gateway/apiserver/\(program)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["etcd", program] {
            #expect(
                FileManager.default.createFile(
                    atPath: "\(folder)/\(name)", contents: Data(), attributes: [.posixPermissions: 0o755]))
        }
        let found = try KubernetesAPIServer.Programs.find(program, environment: ["XDG_CACHE_HOME": cache])
        #expect(found.server == "\(folder)/\(program)")
    }

    /// The Azure simulator serves HTTPS with a certificate of its own: as good a far end as any.
    private static func throughBridge(trusts: Bool) async throws -> String {
        let folder = try scratch()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let certificate = try AzureSimulator.ServerCertificate.selfSigned()
        let trusted = trusts ? certificate : try AzureSimulator.ServerCertificate.selfSigned()
        try trusted.certificate.write(toFile: folder + "/authority.pem", atomically: true, encoding: .utf8)
        var configuration = LabPlan().azure
        configuration.certificate = certificate
        let simulator = try AzureSimulator(configuration: configuration, logger: Logger(label: "test"))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await simulator.run() }
            let port = try #require(URL(string: try await simulator.endpoint())?.port)
            let bridge = SocketBridge(
                socketPath: folder + "/bridge.sock", port: port, authority: folder + "/authority.pem")
            group.addTask { try await bridge.run() }
            _ = try await BoundedWait.until("the socket", within: .seconds(20), hint: folder) {
                FileManager.default.fileExists(atPath: bridge.socketPath) ? true : nil
            }
            let command = ChildCommand(
                "/usr/bin/curl",
                ["-s", "-m", "10", "--unix-socket", bridge.socketPath, "http://localhost/simulator/audit"])
            let output = try await ChildProcess.run(command)
            return output.outputText
        }
    }

    @Test func connectionsThroughTheSocketReachTheServer() async throws {
        #expect(try await Self.throughBridge(trusts: true).hasPrefix("{"))
    }

    @Test func aServerOfAnotherAuthorityIsNotSpokenTo() async throws {
        #expect(try await Self.throughBridge(trusts: false).isEmpty)
    }
}
