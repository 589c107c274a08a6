import Foundation
import Testing

@testable import Lab

/// The rules of StaticGatewayConfiguration's definition, as any API server holds them.
@Suite("Validation rules", .enabled(if: Kubectl.path != nil, "kubectl is not installed"))
struct ValidationRuleTests {
    private static let profile: APIValue = ["vmssResourceGroup": "rg", "vmssName": "set", "publicIpPrefixSize": 31]

    private static func define(_ harness: ServerHarness) async throws {
        let outcome = try await Kubectl(harness).applyDefinitions()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try await harness.eventually(ServerHarness.gateways) { $0.status == 200 }.status == 200)
    }

    @Test(.after1_20("it takes empty strings in custom resources for null"))
    func whatUpstreamAcceptsIsAccepted() async throws {
        try await ServerHarness.run { harness in
            try await Self.define(harness)
            let specs: [APIValue] = [
                ["gatewayNodepoolName": "gwpool"],
                ["gatewayNodepoolName": "gwpool", "gatewayVmssProfile": [:], "provisionPublicIps": true],
                ["gatewayNodepoolName": "gwpool", "gatewayVmssProfile": ["vmssName": "", "publicIpPrefixSize": 0]],
                ["gatewayVmssProfile": Self.profile], ["gatewayNodepoolName": "", "gatewayVmssProfile": Self.profile],
                ["gatewayVmssProfile": ["vmssResourceGroup": "rg", "vmssName": "set"], "provisionPublicIps": false],
                ["gatewayNodepoolName": "gwpool", "provisionPublicIps": false, "publicIpPrefixId": ""],
                ["gatewayNodepoolName": "gwpool", "publicIpPrefixId": "/subscriptions/x"],
                ["gatewayNodepoolName": "gwpool", "excludeCidrs": ["not a prefix"]],
                ["gatewayNodepoolName": "gwpool", "ipFamilies": ["IPv6", "IPv4"]],
                ["gatewayNodepoolName": "gwpool", "ipFamilies": []],
            ]
            for (index, spec) in specs.enumerated() {
                let answer = try await harness.tcp.send(
                    "POST", ServerHarness.gateways, Samples.gateway("gw-\(index)", spec: spec))
                #expect(answer.status == 201, "\(spec.text): \(answer.text)")
            }
        }
    }

    @Test(.since(25, "rules in CEL")) func whatTheControllerWouldRefuseIsRefused() async throws {
        try await ServerHarness.run { harness in
            try await Self.define(harness)
            let cases: [(spec: APIValue, field: String, message: String)] = [
                ([:], "spec", "exactly one of gatewayNodepoolName and gatewayVmssProfile"),
                (["gatewayVmssProfile": [:]], "spec", "exactly one of"),
                (["gatewayNodepoolName": "p", "gatewayVmssProfile": Self.profile], "spec", "exactly one of"),
                (
                    ["gatewayVmssProfile": ["vmssName": "set"]], "spec.gatewayVmssProfile",
                    "vmssResourceGroup and vmssName are both needed"
                ),
                (["gatewayVmssProfile": ["publicIpPrefixSize": 31]], "spec.gatewayVmssProfile", "are both needed"),
                (
                    ["gatewayNodepoolName": "p", "provisionPublicIps": false, "publicIpPrefixId": "/s"], "spec",
                    "publicIpPrefixId must be empty while provisionPublicIps is false"
                ),
                (["gatewayNodepoolName": "p", "ipFamilies": ["IPv6"]], "spec", "ipFamilies must be"),
                (["gatewayNodepoolName": "p", "ipFamilies": ["IPv4", "IPv4"]], "spec", "ipFamilies must be"),
            ]
            for (spec, field, message) in cases {
                let answer = try await harness.tcp.send(
                    "POST", ServerHarness.gateways, Samples.gateway("bad", spec: spec))
                #expect(answer.status == 422, "\(spec.text): \(answer.text)")
                let causes = answer.json[path: "details", "causes"]?.arrayValue ?? []
                #expect(
                    causes.contains {
                        $0["field"]?.stringValue == field && $0["message"]?.stringValue?.contains(message) == true
                    }, "\(spec.text): \(answer.text)")
            }
        }
    }

    /// An object that broke a rule before its definition had it can be finalised and labelled, but not made wrong anew.
    @Test(.since(30, "rules in CEL, asked of changed values only"))
    func anUnchangedSpecIsNotHeldAgainstAnOldObject() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let both: APIValue = ["gatewayNodepoolName": "p", "gatewayVmssProfile": ["publicIpPrefixSize": 31]]
            let created = try await harness.tcp.send("POST", ServerHarness.gateways, Samples.gateway("old", spec: both))
            #expect(created.status == 201)
            try await Self.define(harness)
            let path = "\(ServerHarness.gateways)/old"
            let patch = "application/merge-patch+json"
            let refused = try await harness.eventually(
                ServerHarness.gateways, posting: Samples.gateway("new", spec: both))
            #expect(refused == 422)
            let labelled = try await harness.tcp.send(
                "PATCH", path, ["metadata": ["labels": ["a": "1"], "finalizers": ["example.com/x"]]], contentType: patch
            )
            #expect(labelled.status == 200, "\(labelled.text)")
            let worse = try await harness.tcp.send(
                "PATCH", path, ["spec": ["gatewayNodepoolName": "q"]], contentType: patch)
            #expect(worse.status == 422, "\(worse.text)")
            let better = try await harness.tcp.send(
                "PATCH", path, ["spec": ["gatewayVmssProfile": .null]], contentType: patch)
            #expect(better.status == 200, "\(better.text)")
        }
    }
}

@Suite("CEL")
struct CELTests {
    private static let value: APIValue = ["a": "x", "n": 3, "list": ["p", "q"], "flag": true, "empty": ""]

    @Test(arguments: [
        ("self.a == 'x'", true), ("self.a != \"x\"", false), ("has(self.a) && !has(self.b)", true),
        ("self.n >= 3 && self.n < 4", true), ("size(self.list) == 2 && self.list[1] == 'q'", true),
        ("'p' in self.list && !('z' in self.list)", true), ("self.flag || self.missing", true),
        ("self.missing || self.flag", true), ("!self.flag && self.missing", false),
        ("self.missing && !self.flag", false),
        ("true || false && false", true), ("(true || false) && false", false), ("size(self.empty) == 0", true),
        ("!!self.flag == true", true), ("has(self.a) != has(self.b)", true),
    ])
    func evaluates(_ rule: String, _ expected: Bool) throws {
        #expect(try CELParser.parse(rule).evaluate(Self.value) == .bool(expected))
    }

    @Test(arguments: [
        "", "self.", "self.a ==", "has(self)", "self.a.startsWith('x')", "self.all(x, true)", "a", "'open",
        "self ? 1 : 2",
        "1 +", "(true", "true)", "99999999999999999999 == 1", String(repeating: "(", count: 100),
    ])
    func refusesWhatIsNotOfTheSubset(_ rule: String) {
        #expect(throws: CELExpression.Failure.self) { try CELParser.parse(rule) }
    }

    @Test(arguments: ["self.missing == 1", "self.list[2] == 'r'", "self.a && true", "size(self.n) == 1", "self.a < 1"])
    func hasNoValueWhereItsOperandsHaveNone(_ rule: String) throws {
        let expression = try CELParser.parse(rule)
        #expect(throws: CELExpression.Failure.self) { try expression.evaluate(Self.value) }
    }
}
