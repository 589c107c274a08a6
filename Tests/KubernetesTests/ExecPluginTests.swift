import Foundation
import JSONModel
import Logging
import ScriptedServer
import Testing

@testable import Kubernetes

/// Credential plugins as shell scripts, against a scripted server.
@Suite struct ExecPluginTests {
    /// A folder with a script, which finds the folder in `FOLDER`.
    private final class Bench: Sendable {
        let folder: URL

        init(_ script: String) throws {
            folder = try temporaryFolder()
            try Data(script.utf8).write(to: folder.appending(path: "plugin.sh"))
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        var plugin: ExecCredentialPlugin {
            ExecCredentialPlugin(
                version: .v1, command: "/bin/sh", arguments: [folder.appending(path: "plugin.sh").path],
                environment: ["FOLDER": folder.path])
        }

        /// What the script wrote to a file of its folder.
        func text(_ file: String) -> String {
            (try? String(contentsOf: folder.appending(path: file), encoding: .utf8)) ?? ""
        }

        /// How often the script ran, if it says so in `runs`.
        var runs: Int { text("runs").split(separator: "\n").count }
    }

    private static let count = "echo run >> $FOLDER/runs\n"

    /// A shell command that prints a credential.
    private static func print(_ status: String, version: String = "v1") -> String {
        #"printf '%s' '{"apiVersion":"client.authentication.k8s.io/\#(version)","kind":"ExecCredential","#
            + #""status":{\#(status)}}'"# + "\n"
    }

    private static let node = Step.answer(200, #"{"metadata":{"name":"n"}}"#)

    private func message(_ client: KubernetesClient) async -> (code: KubernetesError.Code?, text: String) {
        do {
            _ = try await client.get(Node.self, name: "n")
            return (nil, "")
        } catch {
            return ((error as? KubernetesError)?.code, "\(error)")
        }
    }

    private func failure(
        _ script: String, change: (inout ExecCredentialPlugin) -> Void = { _ in }
    ) async throws -> (code: KubernetesError.Code?, text: String) {
        let bench = try Bench(script)
        var plugin = bench.plugin
        change(&plugin)
        var result: (code: KubernetesError.Code?, text: String) = (nil, "")
        try await withClient(configure: { $0.credential = .exec(plugin) }, { _, _ in Self.node }) { client, server in
            result = await message(client)
            #expect(server.requests.isEmpty)
        }
        return result
    }

    @Test func itsTokenIsSentAndKeptAndItIsToldWhatItMustKnow() async throws {
        let bench = try Bench(
            Self.count + "printf '%s' \"$KUBERNETES_EXEC_INFO\" > $FOLDER/info\n"
                + "printf '%s' \"$1 $FLAVOUR $HOME\" > $FOLDER/said\ncat > $FOLDER/input\n"
                + Self.print(#""token":"secret-1""#))
        let text = """
            current-context: c
            clusters:
            - name: c
              cluster:
                server: SERVER
                certificate-authority-data: Y2E=
                extensions:
                - {name: client.authentication.k8s.io/exec, extension: {audience: "7", deep: {a: [1, x]}}}
            users:
            - name: u
              user:
                exec:
                  apiVersion: client.authentication.k8s.io/v1
                  command: /bin/sh
                  args: [plugin.sh, "an argument"]
                  env: [{name: FLAVOUR, value: mint}, {name: FOLDER, value: \(bench.folder.path)}]
                  interactiveMode: IfAvailable
                  provideClusterInfo: true
            contexts: [{name: c, context: {cluster: c, user: u}}]
            """
        let server = try ScriptedServer { _, _ in Self.node }
        defer { server.stop() }
        let path = bench.folder.appending(path: "config")
        let script = bench.folder.appending(path: "plugin.sh").path
        try Data(
            text.replacing("SERVER", with: server.address).replacing("plugin.sh", with: script).utf8
        ).write(to: path)
        var configuration = try ClientConfiguration.load(kubeconfig: path.path)
        // No PEM, and not needed here: the server speaks without TLS.
        configuration.certificateAuthority = nil
        let client = try KubernetesClient(configuration: configuration, logger: Logger(label: "test"))
        for _ in 0..<3 { _ = try await client.get(Node.self, name: "n") }
        try await client.shutdown()
        #expect(server.requests.map { $0.headers["authorization"] } == Array(repeating: "Bearer secret-1", count: 3))
        #expect(bench.runs == 1)
        #expect(bench.text("said") == "an argument mint \(ProcessInfo.processInfo.environment["HOME"] ?? "")")
        #expect(bench.text("input").isEmpty)
        let info = try JSONValue(json: Data(bench.text("info").utf8))
        #expect(info["apiVersion"] == "client.authentication.k8s.io/v1" && info["kind"] == "ExecCredential")
        #expect(info["spec.interactive"] == false)
        #expect(info["spec.cluster.server"] == .string(server.address))
        #expect(info["spec.cluster.certificate-authority-data"] == "Y2E=")
        #expect(info["spec.cluster.config.deep.a"]?.elements.last == "x")
    }

    @Test func withoutBeingAskedItIsNotToldOfTheCluster() async throws {
        let bench = try Bench("printf '%s' \"$KUBERNETES_EXEC_INFO\" > $FOLDER/info\n" + Self.print(#""token":"t""#))
        try await withClient(configure: { $0.credential = .exec(bench.plugin) }, { _, _ in Self.node }) { client, _ in
            _ = try await client.get(Node.self, name: "n")
            let info = try JSONValue(json: Data(bench.text("info").utf8))
            #expect(info["spec.cluster"] == nil && info["spec.interactive"] == false)
        }
    }

    @Test func anExpiredTokenIsReplacedBeforeItIsSent() async throws {
        let bench = try Bench(
            Self.count + "n=$(wc -l < $FOLDER/runs)\n"
                + #"when=2100-01-01T00:00:00Z; [ $n = 1 ] && when=2001-01-01T00:00:00Z"# + "\n"
                + #"echo "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\","#
                + #"\"status\":{\"token\":\"t$n\",\"expirationTimestamp\":\"$when\"}}""#)
        try await withClient(configure: { $0.credential = .exec(bench.plugin) }, { _, _ in Self.node }) {
            client, server in
            for _ in 0..<3 { _ = try await client.get(Node.self, name: "n") }
            #expect(server.requests.map { $0.headers["authorization"] } == ["Bearer t1", "Bearer t2", "Bearer t2"])
            #expect(bench.runs == 2)
        }
    }

    @Test func aRefusedTokenIsReplacedOnceAndTheRequestRepeated() async throws {
        let bench = try Bench(
            Self.count + "n=$(wc -l < $FOLDER/runs)\n"
                + #"echo "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\","#
                + #"\"status\":{\"token\":\"t$n\"}}""#)
        let script: ScriptedServer.Script = { number, request in
            // The first token is good until the second request; the second one is good until the fourth.
            let good = number < 1 ? "t1" : number < 4 ? "t2" : "never"
            return request.headers["authorization"] == "Bearer \(good)" ? Self.node : Step.status(401, "Unauthorized")
        }
        try await withClient(configure: { $0.credential = .exec(bench.plugin) }, script) { client, server in
            for _ in 0..<3 { _ = try await client.get(Node.self, name: "n") }
            #expect(
                server.requests.map { $0.headers["authorization"] }
                    == ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"])
            // A server that takes nothing does not have the program run with every request.
            for _ in 0..<5 { #expect(await message(client).code == .unauthorized) }
            #expect(bench.runs == 2)
        }
    }

    @Test func manyRequestsAtOnceNeedOneRun() async throws {
        let bench = try Bench(Self.count + "sleep 0.3\n" + Self.print(#""token":"t""#))
        try await withClient(configure: { $0.credential = .exec(bench.plugin) }, { _, _ in Self.node }) { client, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<10 { group.addTask { _ = try await client.get(Node.self, name: "n") } }
                try await group.waitForAll()
            }
            #expect(bench.runs == 1)
        }
    }

    @Test func whatItSaysOfItsFailureIsInTheErrorAndItsOutputIsNot() async throws {
        let bench = try Bench(
            Self.count + "echo '{\"token\":\"hush\"'; echo 'sign in first' >&2; echo 'then again' >&2; exit 3")
        try await withClient(configure: { $0.credential = .exec(bench.plugin) }, { _, _ in Self.node }) {
            client, server in
            let failed = await message(client)
            #expect(failed.code == .unauthorized)
            #expect(failed.text.contains("exit status 3: sign in first then again"), "\(failed.text)")
            #expect(!failed.text.contains("hush"))
            // For a moment the answer stands.
            #expect(await message(client).text == failed.text)
            #expect(bench.runs == 1 && server.requests.isEmpty)
        }
        #expect(try await failure("kill -9 $$").text.contains("signal 9"))
    }

    @Test func oneThatDoesNotEndIsKilledWithItsChildren() async throws {
        let bench = try Bench("sleep 300 &\necho $! > $FOLDER/child\necho thinking >&2\nwait")
        var plugin = bench.plugin
        plugin.timeLimit = .milliseconds(500)
        try await withClient(configure: { $0.credential = .exec(plugin) }, { _, _ in Self.node }) { client, _ in
            let failed = await message(client)
            #expect(failed.code == .timeout)
            #expect(failed.text.contains("thinking"))
        }
        let child = try #require(Int32(bench.text("child").trimmingCharacters(in: .whitespacesAndNewlines)))
        // A killed process may stay as a zombie of whoever adopts it.
        #expect(
            await eventually {
                let status = try? String(contentsOf: URL(filePath: "/proc/\(child)/status"), encoding: .utf8)
                return status?.contains("State:\tZ") ?? true
            })
    }

    @Test func oneThatLeavesAChildBehindIsNotWaitedFor() async throws {
        let bench = try Bench("sleep 300 &\n" + Self.print(#""token":"t""#))
        try await withClient(configure: { $0.credential = .exec(bench.plugin) }, { _, _ in Self.node }) { client, _ in
            let took = try await ContinuousClock().measure { _ = try await client.get(Node.self, name: "n") }
            #expect(took < .seconds(60))
        }
    }

    @Test func itsOutputIsBounded() async throws {
        let long = try await failure("yes") { $0.maximumOutputBytes = 10_000 }
        #expect(long.code == .configuration && long.text.contains("more than the allowed 10000 bytes"))
        let noisy = try await failure("yes NOISE | head -c 1000000 >&2; exit 1")
        #expect(noisy.code == .unauthorized && noisy.text.utf8.count < 5000 && noisy.text.contains("NOISE"))
    }

    @Test(arguments: [
        ("echo no json", "no ExecCredential in JSON"),
        (print(#""token":"hush""#, version: "v1beta1"), "apiVersion \"client.authentication.k8s.io/v1beta1\"; allowed"),
        (#"echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"Token","status":{"token":"hush"}}'"#, "kind"),
        (print(""), "neither status.token nor"),
        (print(#""token":"""#), "neither status.token nor"),
        (print(#""clientKeyData":"hush""#), "both or none"),
        (print(#""token":"hush","expirationTimestamp":"soon""#), "status.expirationTimestamp"),
        (print(#""clientCertificateData":"no","clientKeyData":"hush""#), "no PEM"),
    ])
    func answersThatAreNoneAreRefusedAndNotShown(script: String, expected: String) async throws {
        let failed = try await failure(script)
        #expect(failed.code == .configuration)
        #expect(failed.text.contains(expected), "\(failed.text)")
        #expect(!failed.text.contains("hush"))
    }

    @Test func aProgramThatIsNotThereIsNamedWithItsHint() async throws {
        let failed = try await failure("") {
            $0.command = "no-such-credential-plugin"
            $0.installHint = "get it from your cloud"
        }
        #expect(failed.code == .configuration)
        #expect(failed.text.contains("\"no-such-credential-plugin\" cannot be started: No such file"))
        #expect(failed.text.contains("get it from your cloud"))
    }

    @Test func whoWaitsForItMayGiveUpAndTheEndOfTheClientEndsIt() async throws {
        let bench = try Bench("echo $$ > $FOLDER/pid\nexec sleep 300")
        try await withClient(configure: { $0.credential = .exec(bench.plugin) }, { _, _ in Self.node }) { client, _ in
            let waiting = Task { try await client.get(Node.self, name: "n") }
            #expect(await eventually { !bench.text("pid").isEmpty })
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
        }
        let child = try #require(Int32(bench.text("pid").trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(await eventually { kill(child, 0) != 0 })
    }

    @Test(arguments: [
        ("{command: x, interactiveMode: Never}", "exec.apiVersion is \"\"; allowed: client.authentication.k8s.io/v1"),
        ("{apiVersion: client.authentication.k8s.io/v1alpha1, command: x}", "v1alpha1"),
        ("{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}", "exec.command is not set"),
        ("{apiVersion: client.authentication.k8s.io/v1, command: x}", "interactiveMode is \"\"; allowed: Never"),
        (
            "{apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}",
            "interactiveMode is \"Always\", but nobody can be asked"
        ),
        (
            "{apiVersion: client.authentication.k8s.io/v1beta1, command: x, env: [{name: a=b, value: c}]}",
            "name is \"a=b\""
        ),
        ("{apiVersion: client.authentication.k8s.io/v1beta1, command: x}, token: t", "goes with no other credential"),
    ])
    func mistakesInTheKubeconfigAreNamed(exec: String, expected: String) throws {
        let error = #expect(throws: KubernetesError.self) { try Self.load(exec) }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
    }

    @Test func aPathIsRelativeToTheFileAndANameIsNot() throws {
        func command(_ text: String) throws -> ExecCredentialPlugin? {
            let exec = "{apiVersion: client.authentication.k8s.io/v1beta1, command: \(text)}"
            guard case .exec(let plugin) = try Self.load(exec).credential else { return nil }
            return plugin
        }
        #expect(try command("kubelogin")?.command == "kubelogin")
        #expect(try command("/opt/kubelogin")?.command == "/opt/kubelogin")
        #expect(try command("./bin/kubelogin")?.command.hasSuffix("/./bin/kubelogin") == true)
        #expect(try command("./bin/kubelogin")?.command.hasPrefix("/") == true)
        #expect(try command("kubelogin")?.version == .v1beta1)
    }

    private static func load(_ exec: String) throws -> ClientConfiguration {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let text = """
            current-context: c
            clusters: [{name: c, cluster: {server: http://127.0.0.1:1}}]
            users: [{name: u, user: {exec: \(exec)}}]
            contexts: [{name: c, context: {cluster: c, user: u}}]
            """
        let path = folder.appending(path: "config")
        try Data(text.utf8).write(to: path)
        return try ClientConfiguration.load(kubeconfig: path.path)
    }
}
