import Foundation
import Glibc
import LinuxNet
import Testing

@testable import Lab

/// The container runtime's part of CNI, with Debian's plugins in real namespaces and with scripts that record what
/// they were given; needs root.
@Suite(.serialized, .enabled(if: getuid() == 0, "needs root"))
struct CNIRuntimeTests {
    private let directory: String
    private let node: NetworkNamespace
    private let pod: NetworkNamespace

    init() throws {
        directory = "/tmp/kegwrt-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: "\(directory)/net.d", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: "\(directory)/bin", withIntermediateDirectories: true)
        node = try NetworkNamespace(name: "kegwrt-node")
        pod = try NetworkNamespace(name: "kegwrt-pod")
        for namespace in [node, pod] {
            try namespace.delete()
            try namespace.create()
        }
    }

    private func cleanUp() {
        for namespace in [node, pod] { _ = try? namespace.delete() }
        try? FileManager.default.removeItem(atPath: directory)
    }

    private var runtime: CNIRuntime {
        CNIRuntime(
            configurationDirectory: "\(directory)/net.d", pluginDirectories: ["\(directory)/bin", "/usr/lib/cni"],
            nodeNamespace: node, cacheDirectory: "\(directory)/cache")
    }

    private var attachment: CNIAttachment {
        CNIAttachment(
            containerID: "kegwrt0001", namespacePath: pod.path, podNamespace: "demo", podName: "plain", podUID: "uid")
    }

    private func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(directory)/\(name)"))
    }

    /// A plugin that records its environment and input, and answers with `script`.
    private func plugin(_ name: String, _ script: String) throws {
        try write(
            "bin/\(name)",
            """
            #!/bin/sh
            echo "\(name) $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_ARGS" >> \(directory)/calls
            cat > \(directory)/input-\(name)-$CNI_COMMAND
            \(script)
            """)
        chmod("\(directory)/bin/\(name)", 0o755)
    }

    private var calls: [String] {
        let text = FileManager.default.contents(atPath: "\(directory)/calls").map {
            String(decoding: $0, as: UTF8.self)
        }
        return (text ?? "").split(separator: "\n").map(String.init)
    }

    private func recordedInput(_ name: String) throws -> APIValue {
        let data = try #require(FileManager.default.contents(atPath: "\(directory)/input-\(name)"))
        return try APIValueParser.parse(Array(data))
    }

    @Test func aRealBridgeGivesThePodAnAddressAndTakesItBack() async throws {
        defer { cleanUp() }
        try write(
            "net.d/10-podnet.conflist",
            LabFiles.podNetwork(
                subnet: "10.244.0.0/24", dataDirectory: "\(directory)/ipam"))
        let result = try await runtime.add(attachment)
        #expect(result.podIP == "10.244.0.2")
        let addresses = try await pod.run {
            let socket = try RouteSocket()
            let link = try socket.requireLink(named: "eth0")
            return try socket.addresses(linkIndex: link.index, family: .ipv4).map(\.description)
        }
        #expect(addresses == ["10.244.0.2/24"])
        try await runtime.delete(attachment)
        let link = try await pod.run { try RouteSocket().link(named: "eth0") }
        #expect(link == nil)
        let leases = try FileManager.default.contentsOfDirectory(atPath: "\(directory)/ipam/podnet")
        #expect(!leases.contains("10.244.0.2"), "the address is free again")
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(directory)/cache").isEmpty)
    }

    @Test func resultsAreChainedAndTheFirstFileCounts() async throws {
        defer { cleanUp() }
        try plugin("first", #"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.9.9.9/24"}]}'"#)
        try plugin(
            "second", "cat \(directory)/input-second-$CNI_COMMAND | sed 's/.*\"prevResult\":\\(.*\\),\"type.*/\\1/'")
        try write("net.d/20-later.conflist", #"{"name":"later","plugins":[{"type":"missing"}]}"#)
        try write(
            "net.d/10-net.conflist",
            #"""
            {"name":"net","cniVersion":"1.0.0","plugins":[
              {"type":"first"},{"type":"second","capabilities":{"portMappings":true},"extra":{"kept":1}}]}
            """#)
        #expect(try await runtime.add(attachment).addresses == ["10.9.9.9/24"])
        let input = try recordedInput("second-ADD")
        #expect(input["name"] == "net")
        #expect(input["cniVersion"] == "1.0.0")
        #expect(input["capabilities"] == nil)
        #expect(input[path: "extra", "kept"] == 1)
        #expect(input[path: "prevResult", "ips"]?.arrayValue?.first?["address"] == "10.9.9.9/24")
        try await runtime.delete(attachment)
        #expect(try recordedInput("first-DEL")[path: "prevResult", "ips"] != nil, "DEL is given the result of ADD")
        let arguments =
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=plain;K8S_POD_INFRA_CONTAINER_ID=kegwrt0001;K8S_POD_UID=uid"
        #expect(
            calls
                == ["first ADD", "second ADD", "second DEL", "first DEL"].map { "\($0) kegwrt0001 eth0 \(arguments)" })
    }

    @Test func aFailedAddIsUndoneInReverseAndTheErrorObjectIsReported() async throws {
        defer { cleanUp() }
        try plugin("first", "echo '{}'")
        try plugin("second", #"echo '{"code":100,"msg":"no such gateway","details":"demo/x"}'; exit 1"#)
        try write("net.d/10.conflist", #"{"name":"net","plugins":[{"type":"first"},{"type":"second"}]}"#)
        let expected = CNIFailure(
            plugin: "second", command: "ADD", code: 100, message: "no such gateway", details: "demo/x")
        await #expect(throws: expected) { try await runtime.add(attachment) }
        #expect(
            calls.map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
                == ["first ADD", "second ADD", "second DEL", "first DEL"])
    }

    @Test(arguments: [
        (#"{"plugins":[{"type":"x"}]}"#, "name is wrong"), (#"{"name":"n","plugins":[]}"#, "plugins is wrong"),
        (#"{"name":"n","plugins":[{}]}"#, "plugins[0].type is wrong"),
        (#"{"name":"n","plugins":[{"type":"../sh"}]}"#, "plugins[0].type is wrong"), ("{", "byte"),
    ])
    func aMalformedListIsRefusedWithItsField(text: String, expected: String) async throws {
        defer { cleanUp() }
        try write("net.d/10.conflist", text)
        let error = await #expect(throws: LabError.self) { try await runtime.add(attachment) }
        #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
    }
}
