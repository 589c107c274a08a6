import Foundation
import Logging
import Testing

@testable import Lab

@Suite("Lists, watches and start-up")
struct ServerReadTests {
    private static let mergePatch = "application/merge-patch+json"

    private static func version(_ answer: RawHTTPClient.Answer) -> String {
        answer.json[path: "metadata", "resourceVersion"]?.stringValue ?? ""
    }

    private static func names(_ answer: RawHTTPClient.Answer) -> [String] {
        (answer.json["items"]?.arrayValue ?? []).compactMap { $0[path: "metadata", "name"]?.stringValue }
    }

    @Test func pagesShowOneMoment() async throws {
        try await ServerHarness.run { harness in
            for name in ["a", "b", "c", "d", "e"] {
                _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod(name))
            }
            let first = try await harness.tcp.send("GET", "\(ServerHarness.pods)?limit=2")
            #expect(Self.names(first) == ["a", "b"])
            #expect(first.json[path: "metadata", "remainingItemCount"] == 3)
            _ = try await harness.tcp.send("DELETE", "\(ServerHarness.pods)/d")
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("cc"))
            let token = first.json[path: "metadata", "continue"]?.stringValue ?? ""
            let rest = try await harness.tcp.send("GET", "\(ServerHarness.pods)?limit=10&continue=\(token)")
            #expect(Self.names(rest) == ["c", "d", "e"])
            #expect(Self.version(rest) == Self.version(first))
            #expect(try await harness.tcp.send("GET", "\(ServerHarness.pods)?continue=junk").status == 400)
        }
    }

    @Test func selectorsOnLists() async throws {
        try await ServerHarness.run { harness in
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("a", labels: ["x": "1"], node: "n1"))
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("b", labels: ["x": "2"]))
            let byLabel = try await harness.tcp.send("GET", "/api/v1/pods?labelSelector=x%20in%20(2,3)")
            #expect(Self.names(byLabel) == ["b"])
            let byNode = try await harness.tcp.send("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")
            #expect(Self.names(byNode) == ["a"])
            let byName = try await harness.tcp.send("GET", "/api/v1/pods?fieldSelector=metadata.name!%3Da")
            #expect(Self.names(byName) == ["b"])
        }
    }

    @Test func aWatchResumesAndTranslatesForItsSelector() async throws {
        try await ServerHarness.run { harness in
            let list = try await harness.tcp.send("GET", ServerHarness.pods)
            let path = "\(ServerHarness.pods)/a"
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("a", labels: ["x": "no"]))
            for value in ["yes", "yes2", "no"] as [APIValue] {
                let labels: APIValue = ["metadata": ["labels": ["x": value == "no" ? "no" : "yes", "n": value]]]
                _ = try await harness.tcp.send("PATCH", path, labels, contentType: Self.mergePatch)
            }
            let events = try await harness.tcp.watch(
                "\(ServerHarness.pods)?watch=1&resourceVersion=\(Self.version(list))&labelSelector=x%3Dyes", count: 3)
            #expect(events.map { $0["type"] } == ["ADDED", "MODIFIED", "DELETED"])
            let all = try await harness.unix.watch(
                "\(ServerHarness.pods)?watch=1&resourceVersion=\(Self.version(list))", count: 4)
            #expect(all.map { $0["type"] } == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED"])
        }
    }

    @Test(.since(32, "bookmarks of a watch from no version"))
    func aRunningWatchSeesChangesAndEndsWithABookmark() async throws {
        try await ServerHarness.run { harness in
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("first"))
            // Kubernetes sends its last bookmarks from two seconds before the end on; the changes must come before them.
            let events = try await harness.tcp.watch(
                "\(ServerHarness.pods)?watch=1&allowWatchBookmarks=true&timeoutSeconds=6", count: 99
            ) {
                _ = try await harness.unix.send("POST", ServerHarness.pods, Samples.pod("second"))
                _ = try await harness.unix.send("DELETE", "\(ServerHarness.pods)/second")
            }
            #expect(events.prefix(4).map { $0["type"] } == ["ADDED", "BOOKMARK", "ADDED", "DELETED"])
            let last = events.dropFirst(4)
            #expect(!last.isEmpty && last.allSatisfy { $0["type"] == "BOOKMARK" }, "\(events.count) events")
            let ends = events.map {
                $0[path: "object", "metadata", "annotations", "k8s.io/initial-events-end"]?.stringValue
            }
            #expect(ends.indices.allSatisfy { ends[$0] == ($0 == 1 ? "true" : nil) })
            let versions = events.map {
                $0[path: "object", "metadata", "resourceVersion"]?.stringValue.flatMap { Int64($0) } ?? 0
            }
            // A bookmark may tell of later changes elsewhere.
            #expect(versions.count > 4 && versions[versions.count - 1] >= versions[3])
        }
    }

    @Test(.since(32, "streaming lists")) func initialEventsEndWithAMarkedBookmark() async throws {
        try await ServerHarness.run { harness in
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("a"))
            let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
            let events = try await harness.tcp.watch("\(ServerHarness.pods)?\(query)", count: 2)
            #expect(events.map { $0["type"] } == ["ADDED", "BOOKMARK"])
            #expect(
                events[1][path: "object", "metadata", "annotations", "k8s.io/initial-events-end"] == "true")
        }
    }

    @Test(.embeddedOnly) func forgottenVersionsAreGone() async throws {
        try await ServerHarness.run(limits: .init(historyCapacity: 3, watcherBuffer: 16)) { harness in
            let list = try await harness.tcp.send("GET", ServerHarness.pods)
            for index in 0..<5 {
                _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("p\(index)"))
            }
            let answer = try await harness.tcp.send(
                "GET", "\(ServerHarness.pods)?watch=1&resourceVersion=\(Self.version(list))")
            #expect(answer.status == 410)
            #expect(answer.json["reason"] == "Expired")
            let future = try await harness.tcp.send("GET", "\(ServerHarness.pods)?resourceVersion=999999")
            #expect(future.status == 504)
        }
    }

    @Test func tablesHaveTheColumnsOfTheDefinition() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            _ = try await harness.tcp.send("POST", ServerHarness.gateways, Samples.gateway("gw"))
            _ = try await harness.tcp.send(
                "PATCH", "\(ServerHarness.gateways)/gw/status",
                ["status": ["egressIpPrefix": "203.0.113.8/31", "gatewayServerProfile": ["port": 6000]]],
                contentType: Self.mergePatch)
            let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
            let table = try await harness.tcp.send("GET", ServerHarness.gateways, accept: accept).json
            #expect(table["kind"] == "Table")
            let columns = table["columnDefinitions"]?.arrayValue?.map { $0["name"] }
            #expect(columns == ["Name", "Egress Prefix", "Port", "Age"])
            let row = table["rows"]?.arrayValue?.first
            #expect(row?["cells"]?.arrayValue?.prefix(3) == ["gw", "203.0.113.8/31", 6000])
            #expect(row?[path: "object", "kind"] == "PartialObjectMetadata")
        }
    }

    @Test(.builtInLives) func tablesOfPodsTellTheirPhase() async throws {
        try await ServerHarness.run { harness in
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("seen"))
            _ = try await harness.tcp.send(
                "PATCH", "\(ServerHarness.pods)/seen/status", ["status": ["phase": "Running"]],
                contentType: Self.mergePatch)
            let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
            let table = try await harness.tcp.send("GET", ServerHarness.pods, accept: accept).json
            let row = table["rows"]?.arrayValue?.first
            #expect(row?["cells"]?.arrayValue?.prefix(3) == ["seen", "0/1", "Running"])
        }
    }

    @Test func objectsComeAsYAMLToo() async throws {
        try await ServerHarness.run { harness in
            var map = Samples.configMap("a")
            map["data"] = ["word": "text", "number": "12", "flag": "yes", "lines": "a: b\n# c\n", "empty": ""]
            map[path: "metadata", "finalizers"] = ["example.com/wait"]
            let maps = "/api/v1/namespaces/default/configmaps"
            let created = try await harness.tcp.send("POST", maps, map)
            let answer = try await harness.tcp.send("GET", "\(maps)/a", accept: "application/yaml, application/json")
            #expect(answer.headers["content-type"] == "application/yaml")
            #expect(try APIValueParser.parse(yaml: answer.body) == created.json)
            let list = try await harness.tcp.send("GET", maps, accept: "application/yaml")
            #expect(list.text.contains("\nitems:\n- "), "\(list.text)")
            #expect(try await harness.tcp.send("GET", maps, accept: "text/csv").status == 406)
        }
    }

    @Test func discoveryNamesTheKind() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let resources = try await harness.tcp.send("GET", ServerHarness.group).json["resources"]?.arrayValue ?? []
            #expect(
                resources.map { $0["name"] } == ["staticgatewayconfigurations", "staticgatewayconfigurations/status"])
            #expect(resources.first?["shortNames"] == ["sgc"])
            #expect(try await harness.tcp.send("GET", "/readyz").text == "ok")
        }
    }

    @Test(.since(25, "OpenAPI of version 3, and fieldValidation")) func openAPIOffersTheFieldValidation() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let index = try await harness.tcp.send("GET", "/openapi/v3").json["paths"]?.objectValue ?? [:]
            let entry = try #require(index["apis/egressgateway.kubernetes.azure.com/v1alpha1"])
            let url = try #require(entry["serverRelativeURL"]?.stringValue)
            let document = try await harness.tcp.send("GET", url).json
            let path = "\(ServerHarness.group)/namespaces/{namespace}/staticgatewayconfigurations/{name}"
            let parameters = document["paths"]?[path]?[path: "patch", "parameters"]?.arrayValue ?? []
            #expect(parameters.contains { $0["name"] == "fieldValidation" })
        }
    }

    /// It has no TLS, so there is no configuration that opens it to a network.
    @Test(arguments: ["0.0.0.0", "::", "10.0.0.1", "example.com", "127.0.0", "127.0.0.1.example.com"])
    func refusesToListenBeyondLoopback(_ host: String) {
        let error = #expect(throws: EmbeddedAPIServerError.self) {
            try EmbeddedAPIServer(
                configuration: .init(storagePath: "/nonexistent", host: host), logger: Logger(label: "t"))
        }
        #expect(error?.code == .configuration)
        #expect(error?.description.contains(host) == true)
    }

    @Test(.embeddedOnly) func storageHasOneOwner() async throws {
        try await ServerHarness.run { harness in
            let error = #expect(throws: EmbeddedAPIServerError.self) {
                try EmbeddedAPIServer(
                    configuration: .init(storagePath: harness.folder + "/storage"), logger: Logger(label: "t"))
            }
            #expect(error?.code == .storage)
        }
    }

    @Test func kubeconfigsNameTheirEndpoint() {
        let socket = EmbeddedAPIServer.Endpoint.unixSocket(path: "/run/a b/api.sock")
        #expect(socket.serverURL == "http+unix://%2Frun%2Fa%20b%2Fapi.sock")
        let text = EmbeddedAPIServer.kubeconfig(for: .tcp(host: "127.0.0.1", port: 1234))
        #expect(text.contains(#"server: "http://127.0.0.1:1234""#))
    }
}
