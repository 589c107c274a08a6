import Foundation
import JSONModel
import Kubernetes
import ScriptedServer
import Testing

@Suite struct ClientTests {
    @Test func requestsGoOverAUnixSocket() async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "api.sock").path
        try await withClient(unixSocket: path, { _, _ in Step.answer(200, endpointJSON("a", version: 3)) }) {
            client, server in
            let found = try await client.get(PodEndpoint.self, namespace: "team-a", name: "a")
            #expect(found.metadata.resourceVersion == "3")
            #expect(server.requests.first?.target.hasSuffix("/namespaces/team-a/podendpoints/a") == true)
        }
    }

    @Test(arguments: [
        (404, "NotFound", KubernetesError.Code.notFound), (409, "Conflict", .conflict),
        (409, "AlreadyExists", .alreadyExists), (410, "Expired", .gone), (422, "Invalid", .invalid),
        (401, "Unauthorized", .unauthorized), (403, "Forbidden", .forbidden), (400, "BadRequest", .badRequest),
        (429, "TooManyRequests", .tooManyRequests), (500, "InternalError", .unavailable),
        (503, "ServiceUnavailable", .unavailable), (504, "Timeout", .timeout),
    ])
    func refusalsHaveCodes(status: Int, reason: String, expected: KubernetesError.Code) async throws {
        try await withClient({ _, _ in Step.status(status, reason) }) { client, _ in
            do {
                _ = try await client.get(Node.self, name: "n")
                Issue.record("no error for \(status)")
            } catch let error as KubernetesError {
                #expect(error.code == expected)
                #expect(error.httpStatus == status)
                #expect(error.message.contains("because"))
            }
        }
    }

    @Test func retryAfterIsHandedOnAndBounded() async throws {
        try await withClient({ number, _ in
            Step.status(429, "TooManyRequests", headers: ["Retry-After: \(number == 0 ? "7" : "864000")"])
        }) { client, _ in
            for expected in [7, 600] {
                do {
                    _ = try await client.get(Node.self, name: "n")
                    Issue.record("no error")
                } catch let error as KubernetesError {
                    #expect(error.retryAfter == .seconds(expected))
                    #expect(error.advice == .retry)
                }
            }
        }
    }

    @Test func aPageOfHTMLIsNoObject() async throws {
        try await withClient({ _, _ in Step.answer(200, "<html>sign in</html>", type: "text/html") }) { client, _ in
            let code = await code { _ = try await client.get(Node.self, name: "n") }
            #expect(code == .unexpectedResponse)
        }
    }

    @Test func anAnswerThatIsTooLongIsCutOff() async throws {
        let long = #"{"metadata":{"name":"\#(String(repeating: "n", count: 5000))"}}"#
        try await withClient(configure: { $0.maximumBodyBytes = 4096 }, { _, _ in Step.answer(200, long) }) {
            client, _ in
            let code = await code { _ = try await client.get(Node.self, name: "n") }
            #expect(code == .responseTooLarge)
        }
    }

    @Test func anAnswerThatDripsIsGivenUp() async throws {
        let drip: [Step] =
            [.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")]
            + Array(repeating: [.pause(0.1), .send("{")], count: 20).flatMap { $0 }
        try await withClient(configure: { $0.requestTimeout = .milliseconds(400) }, { _, _ in drip }) { client, _ in
            let code = await code { _ = try await client.get(Node.self, name: "n") }
            #expect(code == .timeout)
        }
    }

    @Test func aServerThatIsNotThereIsUnavailable() async throws {
        try await withClient({ _, _ in [.close] }) { client, server in
            server.stop()
            let code = await code { _ = try await client.get(Node.self, name: "n") }
            #expect(code == .unavailable)
        }
    }

    @Test func aListIsReadInPagesAndSetsUndecodableItemsAside() async throws {
        let broken = #"{"metadata":{"name":"bad","namespace":"team-a"},"spec":"text"}"#
        try await withClient({ number, _ in
            number == 0
                ? Step.answer(
                    200, listJSON([endpointJSON("a", version: 1), broken], version: 10, continueToken: "x/y"))
                : Step.answer(200, listJSON([endpointJSON("b", version: 2)], version: 10))
        }) { client, server in
            let list = try await client.list(
                PodEndpoint.self, labelSelector: "app=web", fieldSelector: "metadata.name!=z")
            #expect(list.items.map(\.metadata.name) == ["a", "b"])
            #expect(list.undecodable.map(\.name) == ["bad"])
            #expect(list.resourceVersion == "10")
            let requests = server.requests
            #expect(requests.map { $0.query["limit"] } == ["500", "500"])
            #expect(requests.map { $0.query["continue"] } == [nil, "x%2Fy"])
            #expect(requests.map { $0.query["labelSelector"] } == ["app%3Dweb", "app%3Dweb"])
            #expect(requests[0].query["fieldSelector"] == "metadata.name%21%3Dz")
        }
    }

    @Test func aContinueTokenThatExpiresStartsTheListAnew() async throws {
        try await withClient({ number, _ in
            switch number {
            case 0: Step.answer(200, listJSON([endpointJSON("old", version: 1)], version: 10, continueToken: "x"))
            case 1: Step.status(410, "Expired")
            default: Step.answer(200, listJSON([endpointJSON("new", version: 2)], version: 20))
            }
        }) { client, _ in
            let list = try await client.list(PodEndpoint.self)
            #expect(list.items.map(\.metadata.name) == ["new"])
            #expect(list.resourceVersion == "20")
        }
    }

    @Test func aMergePatchCarriesItsPrecondition() async throws {
        try await withClient({ _, _ in Step.answer(200, endpointJSON("a", version: 4)) }) { client, server in
            let patch: JSONValue = ["metadata": ["labels": ["x": .null]]]
            try await client.mergePatch(
                PodEndpoint.self, namespace: "team-a", name: "a", patch: patch, resourceVersion: "3",
                subresource: .status)
            let request = try #require(server.requests.first)
            #expect(request.method == "PATCH")
            #expect(request.target.hasSuffix("/podendpoints/a/status"))
            #expect(request.headers["content-type"] == "application/merge-patch+json")
            #expect(request.body == #"{"metadata":{"labels":{"x":null},"resourceVersion":"3"}}"#)
        }
    }

    @Test func anApplyNamesItsManagerAndItsObject() async throws {
        try await withClient({ _, _ in Step.answer(200, endpointJSON("a", version: 4)) }) { client, server in
            try await client.apply(
                PodEndpoint.self, namespace: "team-a", name: "a",
                configuration: ["metadata": ["labels": ["x": "y"]]], fieldManager: "egress-node", force: true)
            let request = try #require(server.requests.first)
            #expect(request.method == "PATCH")
            #expect(request.headers["content-type"] == "application/apply-patch+yaml")
            #expect(request.query["fieldManager"] == "egress-node" && request.query["force"] == "true")
            let body = try JSONValue(json: Data(request.body.utf8))
            #expect(body["kind"] == "PodEndpoint" && body["metadata.name"] == "a")
            #expect(body["metadata.namespace"] == "team-a" && body["metadata.labels.x"] == "y")
        }
    }

    @Test func aGuardStopsWritesAndNothingElse() async throws {
        struct Stopped: Error {}
        try await withClient({ _, _ in Step.answer(200, endpointJSON("a", version: 4)) }) { client, server in
            let guarded = client.guarded { throw Stopped() }
            _ = try await guarded.get(PodEndpoint.self, namespace: "team-a", name: "a")
            await #expect(throws: Stopped.self) {
                try await guarded.delete(PodEndpoint.self, namespace: "team-a", name: "a")
            }
            await #expect(throws: Stopped.self) {
                try await guarded.mergePatch(
                    PodEndpoint.self, namespace: "team-a", name: "a", patch: JSONValue.object([:]))
            }
            #expect(server.requests.map(\.method) == ["GET"])
        }
    }

    @Test(arguments: [("1", "32", true), ("1", "36+", true), ("2", "0", true), ("1", "31", false), ("1", "", false)])
    func whetherListsStreamFollowsFromTheVersion(major: String, minor: String, streams: Bool) async throws {
        let version = #"{"major":"\#(major)","minor":"\#(minor)"}"#
        try await withClient({ _, _ in Step.answer(200, version) }) { client, _ in
            #expect(await client.streamsLists() == streams)
        }
    }

    @Test func aDeletionCarriesItsPreconditions() async throws {
        try await withClient({ _, _ in Step.answer(200, #"{"kind":"Status","status":"Success"}"#) }) { client, server in
            try await client.delete(PodEndpoint.self, namespace: "team-a", name: "a", uid: "u-1")
            try await client.delete(Node.self, name: "n")
            #expect(server.requests.map(\.method) == ["DELETE", "DELETE"])
            #expect(
                server.requests[0].body
                    == #"{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"u-1"}}"#)
            #expect(server.requests[1].body.isEmpty)
            #expect(server.requests[1].target == "/api/v1/nodes/n")
        }
    }

    @Test func aDeletionWithoutANameNeverBecomesTheDeletionOfAll() async throws {
        try await withClient({ _, _ in Step.answer(200, "{}") }) { client, server in
            for (namespace, name) in [("team-a", ""), ("", "a"), ("team-a", "..")] {
                let code = await code { try await client.delete(PodEndpoint.self, namespace: namespace, name: name) }
                #expect(code == .badRequest)
            }
            #expect(server.requests.isEmpty)
        }
    }

    @Test func createAddsKindAndVersion() async throws {
        try await withClient({ _, _ in Step.answer(201, endpointJSON("a", version: 1)) }) { client, server in
            let endpoint = PodEndpoint(
                metadata: ObjectMeta(name: "a", namespace: "team-a"), spec: PodEndpointSpec(podIpAddress: "10.1.1.1/32")
            )
            try await client.create(endpoint)
            let request = try #require(server.requests.first)
            #expect(request.method == "POST")
            #expect(
                request.body
                    == #"{"apiVersion":"egressgateway.kubernetes.azure.com/v1alpha1","kind":"PodEndpoint","metadata":{"#
                    + #""name":"a","namespace":"team-a"},"spec":{"podIpAddress":"10.1.1.1/32","podPublicKey":"","#
                    + #""staticGatewayConfiguration":""}}"#)
        }
    }

    @Test func aTokenFileIsReadAgainAfterA401() async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "token")
        try Data("first\n".utf8).write(to: file)
        let script: ScriptedServer.Script = { _, request in
            request.headers["authorization"] == "Bearer second"
                ? Step.answer(200, #"{"metadata":{"name":"n"}}"#) : Step.status(401, "Unauthorized")
        }
        try await withClient(configure: { $0.credential = .tokenFile(file.path) }, script) { client, server in
            let refused = await code { _ = try await client.get(Node.self, name: "n") }
            #expect(refused == .unauthorized)
            #expect(server.requests.count == 1)
            try Data("second\n".utf8).write(to: file)
            let node = try await client.get(Node.self, name: "n")
            #expect(node.metadata.name == "n")
            #expect(
                server.requests.map { $0.headers["authorization"] } == [
                    "Bearer first", "Bearer first", "Bearer second",
                ])
        }
    }

    @Test func cancellationStaysCancellation() async throws {
        try await withClient({ _, _ in [.pause(2)] }) { client, _ in
            let task = Task { try await client.get(Node.self, name: "n") }
            try await Task.sleep(for: .milliseconds(100))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }
}
