import Foundation
import Testing

@Suite("CNI executable: relay", .serialized)
struct RelayTests {
    @Test("a request reaches the daemon whole, and its answer the runtime")
    func exchange() async throws {
        let result = "{\"cniVersion\":\"1.0.0\",\"interfaces\":[]}\n\u{1F600} \"quoted\" \\ \t\u{1}"
        let daemon = try FakeDaemon { _ in try? FakeDaemon.answer(exitCode: 0, output: result) }
        let input = configuration(socketPath: daemon.path, extra: #","prevResult":{"dns":{},"text":"a\\b\u00e9\nc"}"#)
        let run = try await PluginRun.start(environment("ADD"), input)
        #expect(run.exitCode == 0)
        #expect(run.output == result)
        let request = try daemon.received
        #expect(request["version"] as? Int == 1)
        #expect(request["configuration"] as? String == String(decoding: input, as: UTF8.self))
        let relayed = try #require(request["environment"] as? [String: String])
        #expect(relayed == environment("ADD").filter { $0.key.hasPrefix("CNI_") })
    }

    @Test("the daemon's exit code and error object are handed on unchanged")
    func failure() async throws {
        let object = #"{"cniVersion":"1.0.0","code":100,"msg":"no such gateway"}"#
        let daemon = try FakeDaemon { _ in try? FakeDaemon.answer(exitCode: 1, output: object) }
        let run = try await PluginRun.start(environment("ADD"), configuration(socketPath: daemon.path))
        #expect(run.exitCode == 1)
        #expect(run.output == object)
    }

    @Test("without a daemon ADD, CHECK and STATUS say \"try again later\"", arguments: ["ADD", "CHECK", "STATUS"])
    func unreachable(command: String) async throws {
        let run = try await PluginRun.start(environment(command), configuration(socketPath: "/tmp/kegwt-ro-none.sock"))
        #expect(run.exitCode == 1)
        let object = try run.object
        #expect(object["code"] as? Int == 11)
        #expect(object["cniVersion"] as? String == "1.0.0")
        #expect((object["details"] as? String)?.contains("/tmp/kegwt-ro-none.sock") == true)
    }

    @Test("without a daemon DEL and GC succeed silently", arguments: ["DEL", "GC"])
    func unreachableRemoval(command: String) async throws {
        let run = try await PluginRun.start(environment(command), configuration(socketPath: "/tmp/kegwt-ro-none.sock"))
        #expect(run.exitCode == 0)
        #expect(run.output.isEmpty)
    }

    @Test("a pod that the Go system attached is let go")
    func attachedByUpstream() async throws {
        let configuration = """
            {"cniVersion":"1.0.0","name":"podnet","type":"kube-egress-cni","ipam":{"type":"kube-egress-cni-ipam"},
             "excludedCIDRs":["169.254.169.254/32"],"socketPath":"localhost:50051"}
            """
        let removed = try await PluginRun.start(environment("DEL"), Data(configuration.utf8))
        #expect(removed.exitCode == 0 && removed.output.isEmpty)
        let added = try await PluginRun.start(environment("ADD"), Data(configuration.utf8))
        #expect(added.exitCode == 1 && added.output.contains("socketPath"))
    }

    @Test("a daemon that never answers is given up on in time")
    func silence() async throws {
        let daemon = try FakeDaemon { _ in nil }
        let input = configuration(socketPath: daemon.path, extra: #","timeoutSeconds":1"#)
        let run = try await PluginRun.start(environment("ADD"), input)
        #expect(run.exitCode == 1)
        #expect(try run.object["code"] as? Int == 11)
        #expect(run.duration >= .seconds(1) && run.duration < .seconds(10))
    }

    @Test(
        "an answer that breaks the protocol is an error, not output",
        arguments: [
            Data([0xFF, 0xFF, 0xFF, 0xFF]), Data([0, 0]), FakeDaemon.frame(Data("{}".utf8)),
            FakeDaemon.frame(Data(#"{"exitCode":"0","output":""}"#.utf8)),
            FakeDaemon.frame(Data(#"{"exitCode":0,"output":"x"} trailing"#.utf8)),
        ])
    func brokenAnswer(answer: Data) async throws {
        let daemon = try FakeDaemon { _ in answer }
        let run = try await PluginRun.start(environment("ADD"), configuration(socketPath: daemon.path))
        #expect(run.exitCode == 1)
        #expect(try run.object["code"] as? Int == 11)
    }
}
