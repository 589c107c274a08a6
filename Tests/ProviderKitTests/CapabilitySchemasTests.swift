import Foundation
import JSONModel
import Testing

@testable import ProviderKit

@Suite struct CapabilitySchemasTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/ProviderAPI/schemas")

    @Test func allDocumentsCompile() {
        #expect(CapabilitySchemas.mistakesInOwnDocuments() == [])
        let contracts: [any CapabilityContract.Type] = [LoadBalancer.self, NodePool.self, PodNetwork.self, Tunnel.self]
        #expect(CapabilitySchemas.capabilities == contracts.map { $0.identifier }.sorted())
        for capability in CapabilitySchemas.capabilities {
            for verb in Verb.allCases {
                #expect(CapabilitySchemas.request(capability, verb) != nil)
                #expect(CapabilitySchemas.result(capability, verb) != nil)
            }
        }
        for document in CapabilitySchemas.Document.allCases { #expect(CapabilitySchemas.document(document) != nil) }
        #expect(CapabilitySchemas.request("com.example.thing/1", .ensure) == nil)
        #expect(CapabilitySchemas.text(of: "") == nil)
    }

    /// What is compiled in is what lies in the folder, and all of it.
    @Test func embeddedDocumentsAreTheFiles() throws {
        let files = try FileManager.default.contentsOfDirectory(at: Self.folder, includingPropertiesForKeys: nil)
        let names = CapabilitySchemas.capabilities + CapabilitySchemas.Document.allCases.map(\.rawValue)
        #expect(files.count == names.count)
        for name in names {
            let file = name.replacingOccurrences(of: "/", with: "-") + ".schema.json"
            let text = try Data(contentsOf: Self.folder.appending(path: file))
            #expect(CapabilitySchemas.text(of: name) == text, "\(file)")
            #expect(try JSONValue(json: text)["$id"] == .string(name), "\(file)")
        }
    }

    /// Every property says what it is and is bounded; request members hold no unbounded text or list.
    @Test func everyPropertyIsDescribedAndBounded() throws {
        for name in CapabilitySchemas.capabilities + CapabilitySchemas.Document.allCases.map(\.rawValue) {
            let document = try JSONValue(json: try #require(CapabilitySchemas.text(of: name)))
            check(document, document, name)
        }
    }

    private func check(_ value: JSONValue, _ document: JSONValue, _ path: String) {
        switch value {
        case .object(let members):
            for (name, property) in members["properties"]?.members ?? [:]
            where property[member: "type"] != nil || property[member: "enum"] != nil {
                #expect(property[member: "description"] != nil, "\(path)/\(name)")
            }
            if let type = members["type"]?.text {
                if type == "string" { #expect(members["maxLength"] != nil, "\(path): maxLength") }
                if type == "array" { #expect(members["maxItems"] != nil, "\(path): maxItems") }
                if type == "integer" { #expect(members["minimum"] != nil, "\(path): minimum") }
            }
            if let target = members["$ref"]?.text {
                let definition = document[member: "$defs"]?[member: String(target.dropFirst("#/$defs/".count))]
                #expect(definition?[member: "description"] != nil, "\(path): \(target)")
            }
            for (name, child) in members { check(child, document, "\(path)/\(name)") }
        case .array(let elements): for child in elements { check(child, document, path) }
        default: break
        }
    }

    /// The one secret of the border's requests is never quoted, whatever is wrong with it.
    @Test func privateKeysAreNeverQuoted() throws {
        let schema = try #require(CapabilitySchemas.request(Tunnel.identifier, .ensure))
        let item: JSONValue = [
            "id": "u", "namespace": "/run/netns/gw", "link": "wg-6000", "addresses": [],
            "gateway": ["port": 6000, "privateKey": "c3dvcmRmaXNo", "peers": []],
        ]
        let found = schema.mistakes(in: ["items": [item]])
        #expect(found.map(\.path) == ["/items/0/gateway/privateKey"])
        #expect(found.first?.message.contains("c3dvcmRm") == false)
    }

    @Test func anItemsMistakesAreOneLineWithoutSecrets() {
        func end(link: String, port: Int, privateKey: String) -> Tunnel.Desired {
            Tunnel.Desired(
                id: "u", namespace: "/run/netns/gw", link: link, addresses: ["fe80::1/64"],
                gateway: Tunnel.GatewayEnd(port: port, privateKey: privateKey, peers: []))
        }
        let key = Data(repeating: 1, count: 32).base64EncodedString()
        #expect(Tunnel.mistake(in: end(link: "wg0", port: 6000, privateKey: key)) == nil)
        let mistake = Tunnel.mistake(in: end(link: "", port: 70_000, privateKey: "c3dvcmRmaXNo")) ?? ""
        for field in ["link: ", "gateway.port: ", "gateway.privateKey: "] {
            #expect(mistake.contains(field), "\(mistake)")
        }
        #expect(!mistake.contains("c3dvcmRm") && !mistake.contains("\n"))
        var both = end(link: "wg0", port: 6000, privateKey: key)
        both.pod = Tunnel.PodEnd(endpoint: .init(address: "10.0.0.4", port: 6000), gatewayPublicKey: key)
        #expect(Tunnel.mistake(in: both) != nil)
    }

    @Test func theOtherFormatsHoldTheirExamples() throws {
        let digest = JSONValue.string(String(repeating: "0a", count: 32))
        let signature: JSONValue = [
            "algorithm": "ed25519", "keyID": "0123456789abcdef",
            "value": .string(Data(repeating: 1, count: 64).base64EncodedString()),
        ]
        let manifest: JSONValue = [
            "manifestVersion": 1, "name": "AzureLB", "version": "1.0.0", "kind": "load-balancer",
            "file": "libAzureLB.so", "abi": ["minimum": "1.0", "maximum": "1.0"],
            "capabilities": ["load-balancer/1", "com.example.thing/1"], "configurationSchema": ["type": "object"],
            "sha256": digest, "signature": signature,
        ]
        try expect(.providerManifest, good: manifest)
        for (path, bad) in [
            ("manifestVersion", 2), ("file", "../libAzureLB.so"), ("abi.minimum", "1"), ("capabilities", ["lb"]),
            ("capabilities", ["load-balancer/1", "load-balancer/1"]), ("sha256", "00"), ("signature.keyID", "0"),
            ("signature.value", "AA=="), ("kind", "other"), ("name", "a/b"),
        ] as [(String, JSONValue)] {
            try expect(.providerManifest, bad: manifest, path, bad)
        }
        let descriptor: JSONValue = [
            "name": "AzureLB", "version": "1.0.0", "kind": "load-balancer", "capabilities": ["load-balancer/1"],
            "configurationSchema": [:], "liveSettings": ["mtu"], "build": "swift 6.3 x86_64",
        ]
        try expect(.providerDescriptor, good: descriptor)
        try expect(.providerDescriptor, bad: descriptor, "kind", nil)
        try expect(.providerDescriptor, bad: descriptor, "liveSettings", "mtu")
        let mistake = JSONSchema.Mistake(path: "/port", message: "is 70000; allowed: at most 65535")
        let report = try JSONValue(encoding: ["mistakes": [mistake]])
        try expect(.validationReport, good: report)
        try expect(.validationReport, bad: report, "mistakes", [["path": "port", "message": "m"]])
        let probe: JSONValue = ["ready": false, "reason": "no kernel module", "facts": ["form": "kernel"]]
        try expect(.probeResult, good: probe)
        try expect(.probeResult, bad: probe, "facts", ["form": 1])
        try expect(.probeResult, bad: probe, "ready", nil)
    }

    private func expect(_ document: CapabilitySchemas.Document, good value: JSONValue) throws {
        #expect(try #require(CapabilitySchemas.document(document)).mistakes(in: value) == [])
    }

    private func expect(
        _ document: CapabilitySchemas.Document, bad value: JSONValue, _ path: String, _ member: JSONValue?
    ) throws {
        var changed = value
        changed[path] = member
        let schema = try #require(CapabilitySchemas.document(document))
        #expect(!schema.mistakes(in: changed).isEmpty, "\(document.rawValue): \(path)")
    }
}
