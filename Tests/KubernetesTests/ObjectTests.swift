import Foundation
import JSONModel
import Kubernetes
import Testing

@Suite struct ObjectTests {
    private func decode<Value: Decodable>(_ type: Value.Type, _ json: String) throws -> Value {
        try KubernetesJSON.decode(type, from: Data(json.utf8))
    }

    private func text(_ object: some KubernetesResource) throws -> String {
        String(decoding: try KubernetesJSON.encode(object), as: UTF8.self)
    }

    @Test func aGatewayAsUpstreamWritesItIsReadAndWrittenBackEqual() throws {
        let json = #"""
            {"apiVersion":"egressgateway.kubernetes.azure.com/v1alpha1","kind":"StaticGatewayConfiguration",\#
            "metadata":{"name":"gw-a","namespace":"team-a","resourceVersion":"12"},\#
            "spec":{"defaultRoute":"staticEgressGateway","excludeCidrs":["10.244.0.0/16"],\#
            "gatewayNodepoolName":"gwpool","gatewayVmssProfile":{},"provisionPublicIps":true},\#
            "status":{"egressIpPrefix":"203.0.113.8/31","gatewayServerProfile":{"ip":"10.243.0.6",\#
            "port":6000,"privateKeySecretRef":{"apiVersion":"v1","kind":"Secret","name":"sgw-1",\#
            "namespace":"s"},"publicKey":"k="}}}
            """#
        let gateway = try decode(StaticGatewayConfiguration.self, json)
        #expect(gateway.spec.gatewayVmssProfile.isEmpty)
        #expect(gateway.status?.gatewayServerProfile.port == 6000)
        #expect(gateway.status?.conditions == nil)
        #expect(try text(gateway) == json)
    }

    @Test func absentFieldsHaveUpstreamsDefaults() throws {
        let gateway = try decode(StaticGatewayConfiguration.self, #"{"metadata":{"name":"a"},"spec":{}}"#)
        #expect(gateway.spec.provisionPublicIps)
        #expect(gateway.spec.defaultRoute == .staticEgressGateway)
        #expect(gateway.spec.excludeCidrs.isEmpty)
        #expect(gateway.status == nil)
        let private_ = try decode(GatewayLBConfiguration.self, #"{"metadata":{},"spec":{"provisionPublicIps":false}}"#)
        #expect(!private_.spec.provisionPublicIps)
        let machines = try decode(
            GatewayVMConfiguration.self, #"{"metadata":{},"status":{"gatewayVMProfiles":null,"unknown":[1]}}"#)
        #expect(machines.status?.gatewayVMProfiles == [])
        #expect(try decode(GatewayStatus.self, #"{"metadata":{},"spec":{},"status":{}}"#).status != nil)
        #expect(
            try decode(Pod.self, #"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c"}]}}"#).spec?.nodeName
                == nil)
    }

    @Test func anUnknownDefaultRouteReachesValidation() throws {
        let gateway = try decode(StaticGatewayConfiguration.self, #"{"spec":{"defaultRoute":"nowhere"}}"#)
        #expect(!DefaultRoute.allowed.contains(gateway.spec.defaultRoute))
    }

    @Test func secretsAreBase64OnTheWireAndNotInLogs() throws {
        let secret = Secret(metadata: ObjectMeta(name: "s", namespace: "n"), data: ["PrivateKey": Data("geheim".utf8)])
        #expect(try text(secret).contains(#""data":{"PrivateKey":"Z2VoZWlt"}"#))
        #expect(!"\(secret)".contains("geheim"))
        #expect(!String(reflecting: secret).contains("geheim"))
        var dumped = ""
        dump(secret, to: &dumped)
        #expect(!dumped.contains("geheim"))
        #expect(try decode(Secret.self, try text(secret)) == secret)
    }

    @Test(arguments: [
        ("2026-01-31T12:00:00Z", 1_769_860_800.0), ("2026-01-31T12:00:00.25Z", 1_769_860_800.25),
        ("2026-01-31T14:00:00+02:00", 1_769_860_800.0), ("1969-12-31T23:59:59.5Z", -0.5),
    ])
    func timesAreRead(text: String, seconds: Double) throws {
        let time = try decode([Timestamp].self, #"["\#(text)"]"#)
        #expect(time.first?.date.timeIntervalSince1970 == seconds)
    }

    @Test func timesAreWritten() {
        let date = Date(timeIntervalSince1970: 1_769_860_800.000_25)
        #expect(Timestamp(date).text == "2026-01-31T12:00:00Z")
        #expect(MicroTimestamp(date).text == "2026-01-31T12:00:00.000250Z")
        #expect(MicroTimestamp(Date(timeIntervalSince1970: -0.5)).text == "1969-12-31T23:59:59.500000Z")
        #expect(Timestamp("yesterday") == nil)
        #expect(throws: DecodingError.self) { try decode([Timestamp].self, #"["yesterday"]"#) }
    }

    @Test func jsonValuesKeepNullApartFromAbsent() throws {
        let json = #"{"a":null,"b":[1,2.5,true,"x",{}]}"#
        let value = try decode(JSONValue.self, json)
        #expect(value == ["a": .null, "b": [1, .number(2.5), true, "x", [:]]])
        #expect(String(decoding: try KubernetesJSON.encode(patch: value), as: UTF8.self) == json)
    }

    @Test func anOwnerReferenceNamesItsOwner() {
        let metadata = ObjectMeta(name: "gw-a", namespace: "team-a", uid: "u-1")
        let owner = StaticGatewayConfiguration(metadata: metadata, spec: StaticGatewayConfigurationSpec())
        let reference = owner.ownerReference()
        #expect(reference.apiVersion == "egressgateway.kubernetes.azure.com/v1alpha1")
        #expect(reference.uid == "u-1")
        #expect(reference.controller == true)
        #expect(owner.ownerReference(controller: false, blockOwnerDeletion: false).controller == nil)
        #expect(owner.qualifiedName == "team-a/gw-a")
    }
}
