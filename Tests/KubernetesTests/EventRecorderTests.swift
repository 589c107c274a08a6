import Foundation
import JSONModel
import Kubernetes
import Logging
import ScriptedServer
import Synchronization
import Testing

@Suite struct EventRecorderTests {
    private static let gateway = ObjectReference(
        apiVersion: "v1", kind: "Pod", namespace: "team-a", name: "gw", uid: "u-1", resourceVersion: "5")

    /// Stores nothing but answers as if; a patch can be answered with 404.
    private static func script(lostOnPatch: Bool = false) -> ScriptedServer.Script {
        { _, request in
            if request.method == "PATCH", lostOnPatch { return Step.status(404, "NotFound") }
            let stored = #"{"metadata":{"name":"gw.1","namespace":"team-a"},"reason":"x","count":1}"#
            return Step.answer(request.method == "POST" ? 201 : 200, stored)
        }
    }

    @Test func repetitionsAreASeriesOfOneEvent() async throws {
        let now = Mutex(Date(timeIntervalSince1970: 1_800_000_000.25))
        try await withClient(Self.script()) { client, server in
            let recorder = EventRecorder(
                client: client, component: "egress-manager", instance: "manager-0", logger: Logger(label: "test"),
                now: { now.withLock { $0 } })
            for version in 5..<8 {
                var object = Self.gateway
                object.resourceVersion = "\(version)"
                await recorder.warning(object, reason: "InvalidSpec", message: "no")
                await recorder.flush()
                now.withLock { $0.addTimeInterval(1) }
            }
            await recorder.normal(Self.gateway, reason: "Ready", message: "yes")
            await recorder.flush()
            let requests = server.requests
            #expect(requests.map(\.method) == ["POST", "PATCH", "PATCH", "POST"])
            let group = "/apis/events.k8s.io/v1/namespaces/team-a/events"
            #expect(requests[0].target == group && requests[1].target == group + "/gw.1")
            let posted = try JSONValue(json: Data(requests[0].body.utf8))
            #expect(posted["apiVersion"] == "events.k8s.io/v1" && posted["kind"] == "Event")
            #expect(posted["type"] == "Warning" && posted["reason"] == "InvalidSpec" && posted["note"] == "no")
            #expect(posted["reportingController"] == "egress-manager" && posted["reportingInstance"] == "manager-0")
            #expect(posted["action"] == "Reconcile" && posted["series"] == nil)
            #expect(posted["eventTime"] == "2027-01-15T08:00:00.250000Z")
            #expect(posted["regarding.kind"] == "Pod" && posted["regarding.uid"] == "u-1")
            #expect(
                requests[1].body == #"{"series":{"count":2,"lastObservedTime":"2027-01-15T08:00:01.250000Z"}}"#)
            #expect(
                requests[2].body == #"{"series":{"count":3,"lastObservedTime":"2027-01-15T08:00:02.250000Z"}}"#)
        }
    }

    @Test func whatIsNotPostedIsCounted() async throws {
        let now = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
        try await withClient(Self.script()) { client, server in
            let recorder = EventRecorder(
                client: client, component: "manager", logger: Logger(label: "test"), now: { now.withLock { $0 } })
            for _ in 0..<40 { await recorder.normal(Self.gateway, reason: "Ready", message: "yes") }
            await recorder.flush()
            #expect(server.requests.count == 25)
            now.withLock { $0.addTimeInterval(300) }
            await recorder.normal(Self.gateway, reason: "Ready", message: "yes")
            await recorder.flush()
            #expect(server.requests.count == 26)
            #expect(server.requests.last?.body.contains(#""count":41"#) == true)
        }
    }

    @Test func anEventThatWasRemovedIsPostedAnew() async throws {
        try await withClient(Self.script(lostOnPatch: true)) { client, server in
            let recorder = EventRecorder(client: client, component: "manager", logger: Logger(label: "test"))
            await recorder.normal(Self.gateway, reason: "Ready", message: "yes")
            await recorder.normal(Self.gateway, reason: "Ready", message: "yes")
            await recorder.flush()
            #expect(server.requests.map(\.method) == ["POST", "PATCH", "POST"])
        }
    }

    @Test func afterTheWindowANewEventIsPosted() async throws {
        let now = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
        try await withClient(Self.script()) { client, server in
            let recorder = EventRecorder(
                client: client, component: "manager", logger: Logger(label: "test"), now: { now.withLock { $0 } })
            await recorder.normal(Self.gateway, reason: "Ready", message: "yes")
            await recorder.flush()
            now.withLock { $0.addTimeInterval(601) }
            await recorder.normal(Self.gateway, reason: "Ready", message: "yes")
            await recorder.flush()
            #expect(server.requests.map(\.method) == ["POST", "POST"])
        }
    }

    @Test func oneObjectCannotFloodTheServer() async throws {
        let now = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
        try await withClient(Self.script()) { client, server in
            let recorder = EventRecorder(
                client: client, component: "manager", logger: Logger(label: "test"), now: { now.withLock { $0 } })
            for number in 0..<40 { await recorder.normal(Self.gateway, reason: "R\(number)", message: "m") }
            await recorder.flush()
            #expect(server.requests.count == 25)
            #expect(await recorder.dropped == 15)
            now.withLock { $0.addTimeInterval(300) }
            for number in 0..<3 { await recorder.normal(Self.gateway, reason: "S\(number)", message: "m") }
            await recorder.flush()
            #expect(server.requests.count == 26)
        }
    }

    @Test func aReportNeverWaitsForTheServer() async throws {
        let stored = Step.answer(201, #"{"metadata":{"name":"e"}}"#)
        try await withClient({ number, _ in number == 0 ? [.pause(1.5)] + stored : stored }) { client, _ in
            let recorder = EventRecorder(client: client, component: "manager", logger: Logger(label: "test"))
            let took = await ContinuousClock().measure {
                for number in 0..<20 { await recorder.normal(Self.gateway, reason: "R\(number)", message: "m") }
            }
            #expect(took < .seconds(1))
            await recorder.flush()
        }
    }
}
