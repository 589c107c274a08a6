import Kubernetes
import Logging
import Reconcile
import ScriptedServer
import Testing

/// The reflector against a scripted server on a real socket.
@Suite struct ReflectorTests {
    private static func item(_ name: String, _ version: Int) -> String {
        #"{"metadata":{"name":"\#(name)","namespace":"team-a","resourceVersion":"\#(version)"},"spec":{}}"#
    }

    private static func list(_ items: [String], _ version: Int) -> [Step] {
        Step.answer(200, #"{"metadata":{"resourceVersion":"\#(version)"},"items":[\#(items.joined(separator: ","))]}"#)
    }

    private static func event(_ type: String, _ object: String) -> Step {
        .chunk(#"{"type":"\#(type)","object":\#(object)}"# + "\n")
    }

    private func withReflector(
        version: String = "1.20", reduce: (@Sendable (inout PodEndpoint) -> Void)? = nil,
        _ script: @escaping ScriptedServer.Script,
        _ body: (ObjectStore<PodEndpoint>, Collector<ObjectKey>, ScriptedServer) async throws -> Void
    ) async throws {
        let parts = version.split(separator: ".")
        // The reflector's first request is for the version; the script sees what comes after it.
        let server = try ScriptedServer { number, request in
            guard number > 0 else {
                return Step.answer(200, #"{"major":"\#(parts[0])","minor":"\#(parts[1])"}"#)
            }
            return script(number - 1, request)
        }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let client = try KubernetesClient(
            configuration: ClientConfiguration(server: server.address), logger: logger)
        let changes = Collector<ObjectKey>()
        let reflector = Reflector(PodEndpoint.self, client: client, logger: logger, reduce: reduce) {
            changes.add($0.key)
        }
        let task = Task { try await reflector.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await body(reflector.store, changes, server)) } catch { result = .failure(error) }
        task.cancel()
        server.stop()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await client.shutdown()
        try result.get()
    }

    @Test func whatNobodyReadsIsNotKept() async throws {
        let forgetVersion: @Sendable (inout PodEndpoint) -> Void = { $0.metadata.resourceVersion = "" }
        try await withReflector(
            reduce: forgetVersion,
            { _, request in
                guard request.query["watch"] != nil else { return Self.list([Self.item("a", 1)], 1) }
                return [.watchHead(), Self.event("ADDED", Self.item("b", 2)), .pause(20)]
            }
        ) { store, changes, _ in
            try await store.waitUntilSynced()
            #expect(await eventually { changes.all == [key("a"), key("b")] })
            #expect(store.all.map(\.metadata.resourceVersion) == ["", ""])
            #expect(Set(store.all.map(\.metadata.name)) == ["a", "b"])
        }
    }

    @Test func theStoreFollowsListAndWatch() async throws {
        try await withReflector({ _, request in
            guard request.query["watch"] != nil else { return Self.list([Self.item("a", 1), Self.item("b", 2)], 2) }
            return [
                .watchHead(), Self.event("ADDED", Self.item("c", 3)), Self.event("MODIFIED", Self.item("a", 4)),
                Self.event("DELETED", Self.item("b", 5)), .pause(20),
            ]
        }) { store, changes, _ in
            try await store.waitUntilSynced()
            #expect(await eventually { changes.all.count == 5 })
            #expect(Set(store.all.map(\.metadata.name)) == ["a", "c"])
            #expect(store[key("a")]?.metadata.resourceVersion == "4")
            #expect(Set(changes.all.prefix(2)) == [key("a"), key("b")])
            #expect(changes.all.suffix(3) == [key("c"), key("a"), key("b")])
        }
    }

    private static let end = event(
        "BOOKMARK",
        #"{"metadata":{"resourceVersion":"40","annotations":{"k8s.io/initial-events-end":"true"}}}"#)

    @Test func aListIsStreamedWhereTheServerCanAndSwappedInAtItsEnd() async throws {
        try await withReflector(
            version: "1.32",
            { number, _ in
                switch number {
                case 0:
                    return [
                        .watchHead(), Self.event("ADDED", Self.item("a", 1)), Self.event("ADDED", Self.item("b", 2)),
                        .pause(0.05), Self.end, .pause(20),
                    ]
                default: return [.watchHead(), Self.event("ADDED", Self.item("c", 41)), .pause(20)]
                }
            }
        ) { store, changes, server in
            try await store.waitUntilSynced()
            #expect(store.count >= 2)
            #expect(await eventually { changes.all == [key("a"), key("b"), key("c")] })
            let requests = server.requests.dropFirst()
            #expect(requests.first?.query["sendInitialEvents"] == "true")
            #expect(requests.first?.query["resourceVersionMatch"] == "NotOlderThan")
            #expect(requests.first?.query["resourceVersion"] == nil)
            #expect(requests.last?.query["resourceVersion"] == "40")
        }
    }

    @Test(arguments: ["refuses", "fails", "ends"])
    func aServerThatSaysItStreamsAndDoesNotIsReadInPages(how: String) async throws {
        try await withReflector(
            version: "1.34",
            { _, request in
                if request.query["sendInitialEvents"] != nil {
                    switch how {
                    case "refuses": return Step.status(422, "Invalid")
                    case "fails":
                        let error = Self.event("ERROR", Step.statusBody(500, "InternalError"))
                        return [.watchHead(), error, .endChunks]
                    default: return [.watchHead(), Self.event("ADDED", Self.item("half", 1)), .pause(0.02), .endChunks]
                    }
                }
                return request.query["watch"] == nil ? Self.list([Self.item("a", 1)], 1) : [.watchHead(), .pause(20)]
            }
        ) { store, changes, _ in
            #expect(await eventually { store.isSynced })
            #expect(changes.all == [key("a")])
        }
    }

    @Test func itResumesFromTheLastBookmark() async throws {
        try await withReflector({ number, request in
            switch number {
            case 0: return Self.list([], 1)
            case 1:
                let bookmark = #"{"metadata":{"resourceVersion":"90"}}"#
                return [.watchHead(), Self.event("BOOKMARK", bookmark), .pause(0.05), .endChunks]
            default: return [.watchHead(), Self.event("ADDED", Self.item("a", 91)), .pause(20)]
            }
        }) { store, changes, server in
            #expect(await eventually { changes.all == [key("a")] })
            #expect(server.requests.dropFirst().map { $0.query["resourceVersion"] } == [nil, "1", "90"])
            #expect(store.count == 1)
        }
    }

    @Test func goneListsAnewAndReportsWhatVanished() async throws {
        try await withReflector({ number, _ in
            switch number {
            case 0: return Self.list([Self.item("a", 1), Self.item("b", 1)], 1)
            case 1:
                return [.watchHead(), Self.event("ERROR", Step.statusBody(410, "Expired")), .endChunks]
            case 2: return Self.list([Self.item("a", 1), Self.item("c", 7)], 7)
            default: return [.watchHead(), .pause(20)]
            }
        }) { store, changes, server in
            #expect(await eventually { server.requests.count == 5 })
            #expect(Set(store.all.map(\.metadata.name)) == ["a", "c"])
            #expect(Set(changes.all.suffix(2)) == [key("b"), key("c")])
            #expect(changes.all.count == 4)
            #expect(server.requests.last?.query["resourceVersion"] == "7")
        }
    }

    @Test func anObjectThatCannotBeReadAnyMoreIsKept() async throws {
        let broken = #"{"metadata":{"name":"a","namespace":"team-a","resourceVersion":"8"},"spec":7}"#
        try await withReflector({ number, _ in
            switch number {
            case 0: return Self.list([Self.item("a", 1)], 1)
            case 1:
                return [
                    .watchHead(), Self.event("MODIFIED", broken),
                    Self.event("ERROR", Step.statusBody(410, "Expired")), .endChunks,
                ]
            case 2: return Self.list([broken, Self.item("b", 9)], 9)
            default: return [.watchHead(), Self.event("DELETED", broken), .pause(20)]
            }
        }) { store, changes, _ in
            #expect(await eventually { changes.all.contains(key("b")) })
            #expect(await eventually { store[key("a")] == nil })
            // Once for the first list and once for the deletion; never because it was unreadable.
            #expect(changes.all.filter { $0 == key("a") }.count == 2)
            #expect(store[key("b")] != nil)
        }
    }

    @Test func aServerThatFailsIsTriedAgain() async throws {
        try await withReflector({ number, _ in
            switch number {
            case 0: return Step.status(503, "ServiceUnavailable")
            case 1: return Step.answer(200, "<html></html>", type: "text/html")
            case 2: return Self.list([Self.item("a", 1)], 1)
            case 3: return [.close]
            default: return [.watchHead(), Self.event("ADDED", Self.item("b", 2)), .pause(20)]
            }
        }) { store, changes, server in
            #expect(await eventually { store.count == 2 })
            #expect(changes.all == [key("a"), key("b")])
            #expect(server.requests.count == 6)
        }
    }

    @Test func ofAnObjectOnlyTheFieldsOfItsTypeAreKept() async throws {
        let ballast = String(repeating: "b", count: 50_000)
        @Sendable func large(_ name: String, _ version: Int) -> String {
            #"{"kind":"PodEndpoint","metadata":{"name":"\#(name)","#
                + #""namespace":"team-a","resourceVersion":"\#(version)","managedFields":[{"manager":"\#(ballast)"}],"#
                + #""annotations":{"a":"1","kubectl.kubernetes.io/last-applied-configuration":"\#(ballast)"}},"#
                + #""spec":{"podIpAddress":"10.0.0.1/32","later":"\#(ballast)"},"status":{"log":"\#(ballast)"}}"#
        }
        try await withReflector({ number, _ in
            switch number {
            case 0: return Self.list([large("a", 1)], 1)
            default: return [.watchHead(), Self.event("ADDED", large("b", 2)), .pause(20)]
            }
        }) { store, _, _ in
            #expect(await eventually { store.count == 2 })
            for object in store.all {
                #expect(object.metadata.annotations == ["a": "1"])
                #expect(object.spec.podIpAddress == "10.0.0.1/32")
                let size = try KubernetesJSON.encode(object).count
                #expect(size < 500)
            }
        }
    }
}
