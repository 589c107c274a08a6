import Foundation
import Testing

@Suite("CNI executable: input", .serialized)
struct InputTests {
    static let versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]

    @Test("VERSION is answered without a daemon", arguments: [#"{"cniVersion":"0.4.0"}"#, ""])
    func version(input: String) async throws {
        let run = try await PluginRun.start(["CNI_COMMAND": "VERSION"], Data(input.utf8))
        #expect(run.exitCode == 0)
        let object = try run.object
        #expect(object["cniVersion"] as? String == (input.isEmpty ? "1.1.0" : "0.4.0"))
        #expect(object["supportedVersions"] as? [String] == Self.versions)
    }

    @Test(
        "a variable that is missing or wrong is named",
        arguments: [("ADD", "CNI_NETNS"), ("ADD", "CNI_CONTAINERID"), ("DEL", "CNI_IFNAME"), ("ADD", "CNI_COMMAND")])
    func missingVariable(command: String, variable: String) async throws {
        let run = try await PluginRun.start(
            environment(command, without: variable), configuration(socketPath: "/tmp/kegwt-ro-none.sock"))
        try expectError(run, code: 4, naming: variable)
    }

    @Test("an unknown command is refused with the allowed ones")
    func unknownCommand() async throws {
        let run = try await PluginRun.start(environment("add"), Data("{}".utf8))
        try expectError(run, code: 4, naming: "CNI_COMMAND")
        #expect(try run.object["details"] as? String == "allowed: ADD, CHECK, DEL, GC, STATUS, VERSION")
    }

    @Test(
        "text that is no JSON object is a decoding error",
        arguments: [
            "", "{", "[]", "nul", #"{"a":1,}"#, #"{"a":"\x"}"#, #"{"a":01x}"#, #"{"a":"\ud800"}"#, "{\"a\":\"\u{1}\"}",
            "{} {}", String(repeating: "[", count: 100_000),
        ])
    func malformed(text: String) async throws {
        let run = try await PluginRun.start(environment("ADD"), Data(text.utf8))
        try expectError(run, code: 6, naming: "JSON object")
    }

    @Test("bytes that are not UTF-8 are a decoding error")
    func notText() async throws {
        let run = try await PluginRun.start(
            environment("ADD"), Data("{\"name\":\"".utf8) + [0xC3, 0x28] + Data("\"}".utf8))
        try expectError(run, code: 6, naming: "UTF-8")
    }

    @Test(
        "a configuration that lacks something names the field",
        arguments: [
            (#"{"cniVersion":"1.0.0","socketPath":"/a"}"#, 7, "name"),
            (#"{"cniVersion":"1.0.0","name":"n"}"#, 7, "socketPath"),
            (#"{"cniVersion":"1.0.0","name":"n","socketPath":"localhost:50051"}"#, 7, "socketPath"),
            (
                #"{"cniVersion":"1.0.0","name":"n","socketPath":"/\#(String(repeating: "a", count: 107))"}"#, 7,
                "socketPath"
            ),
            (#"{"cniVersion":"1.0.0","name":"n","socketPath":"/a","timeoutSeconds":0}"#, 7, "timeoutSeconds"),
            (#"{"cniVersion":1,"name":"n","socketPath":"/a"}"#, 7, "cniVersion"),
            (#"{"cniVersion":"2.0.0","name":"n","socketPath":"/a"}"#, 1, "cniVersion"),
        ])
    func incomplete(text: String, code: Int, field: String) async throws {
        let run = try await PluginRun.start(environment("ADD"), Data(text.utf8))
        try expectError(run, code: code, naming: "field \(field)")
    }

    @Test("input beyond 1 MiB is refused, however long it is")
    func tooLong() async throws {
        let padding = Data(repeating: UInt8(ascii: " "), count: 3 << 20)
        let run = try await PluginRun.start(environment("ADD"), padding + configuration(socketPath: "/tmp/none"))
        try expectError(run, code: 7, naming: "too long")
    }

    private func expectError(_ run: PluginRun, code: Int, naming text: String) throws {
        #expect(run.exitCode == 1)
        let object = try run.object
        #expect(object["code"] as? Int == code)
        #expect((object["msg"] as? String)?.contains(text) == true, "\(run.output)")
        #expect(Self.versions.contains(object["cniVersion"] as? String ?? ""))
        #expect(object["details"] is String)
    }
}
