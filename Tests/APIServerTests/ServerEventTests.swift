import Foundation
import Testing

@testable import Lab

/// Events are one kind in two groups: what is written in either is read in both, and kubectl shows it.
@Suite("Events over HTTP", .builtInLives)
struct ServerEventTests {
    private static let current = "/apis/events.k8s.io/v1/namespaces/default/events"
    private static let core = "/api/v1/namespaces/default/events"
    private static let mergePatch = "application/merge-patch+json"

    private static func event(_ name: String = "web.1", uid: APIValue = "u-1") -> APIValue {
        [
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": ["name": .string(name)],
            "eventTime": "2026-01-31T12:00:00.000001Z", "reportingController": "egress-manager",
            "reportingInstance": "manager-0", "action": "Reconcile", "reason": "InvalidSpec", "type": "Warning",
            "note": "no such pool",
            "regarding": ["apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "web", "uid": uid],
        ]
    }

    @Test func bothGroupsShowTheSameObjects() async throws {
        try await ServerHarness.run { harness in
            let created = try await harness.tcp.send("POST", Self.current, Self.event())
            #expect(created.status == 201, "\(created.text)")
            #expect(created.json["apiVersion"] == "events.k8s.io/v1" && created.json["note"] == "no such pool")
            let series: APIValue = ["series": ["count": 3, "lastObservedTime": "2026-01-31T12:00:09.000000Z"]]
            let patched = try await harness.tcp.send(
                "PATCH", "\(Self.current)/web.1", series, contentType: Self.mergePatch)
            #expect(patched.status == 200 && patched.json["series"]?["count"] == 3, "\(patched.text)")
            let read = try await harness.tcp.send("GET", "\(Self.core)/web.1").json
            #expect(read["apiVersion"] == "v1" && read["kind"] == "Event")
            #expect(read["message"] == "no such pool" && read[path: "involvedObject", "name"] == "web")
            #expect(read["reportingComponent"] == "egress-manager" && read[path: "series", "count"] == 3)
            #expect(read["metadata"] == patched.json["metadata"])
            // And the other way round, with the fields that only core/v1 may write.
            let old: APIValue = [
                "metadata": ["name": "web.2"], "reason": "Pulled", "message": "image", "type": "Normal", "count": 2,
                "source": ["component": "kubelet"], "firstTimestamp": "2026-01-31T12:00:00Z",
                "involvedObject": ["kind": "Pod", "namespace": "default", "name": "other"],
            ]
            #expect(try await harness.tcp.send("POST", Self.core, old).status == 201)
            let list = try await harness.tcp.send("GET", Self.current).json
            #expect(list["kind"] == "EventList" && list["apiVersion"] == "events.k8s.io/v1")
            let second = list["items"]?.arrayValue?.last ?? .null
            #expect(second["note"] == "image" && second["deprecatedCount"] == 2)
            #expect(second[path: "deprecatedSource", "component"] == "kubelet")
            let selected = try await harness.tcp.send("GET", Self.current + "?fieldSelector=regarding.name%3Dother")
                .json
            #expect(selected["items"]?.arrayValue?.count == 1)
            #expect(try await harness.tcp.send("DELETE", "\(Self.current)/web.1").status == 200)
            #expect(try await harness.tcp.send("GET", "\(Self.core)/web.1").status == 404)
        }
    }

    @Test func theStricterRulesAreThoseOfTheNewerGroup() async throws {
        try await ServerHarness.run { harness in
            for (field, value) in [
                ("action", nil), ("eventTime", nil), ("reportingController", "no controller!"), ("type", "Odd"),
                ("deprecatedCount", 4), ("note", .string(String(repeating: "n", count: 1025))),
                ("series", ["count": 1, "lastObservedTime": "2026-01-31T12:00:09.000000Z"]),
            ] as [(String, APIValue?)] {
                var event = Self.event()
                event[field] = value
                let answer = try await harness.tcp.send("POST", Self.current, event)
                #expect(answer.status == 422, "\(field): \(answer.text)")
                // 1.20 names the fields as core/v1 does.
                if ServerUnderTest.minor > 20 { #expect(answer.text.contains(field), "\(field): \(answer.text)") }
            }
            var core = Self.event("web.3")
            core["apiVersion"] = "v1"
            #expect(try await harness.tcp.send("POST", Self.current, core).status == 400)
        }
    }

    @Test(.after1_20("it lets an event of events.k8s.io be changed")) func aStoredEventIsImmutable() async throws {
        try await ServerHarness.run { harness in
            #expect(try await harness.tcp.send("POST", Self.current, Self.event()).status == 201)
            let note = try await harness.tcp.send(
                "PATCH", "\(Self.current)/web.1", ["note": "other"], contentType: Self.mergePatch)
            #expect(note.status == 422 && note.text.contains("field is immutable"))
            // The same in the core group is taken.
            let message = try await harness.tcp.send(
                "PATCH", "\(Self.core)/web.1", ["message": "other"], contentType: Self.mergePatch)
            #expect(message.status == 200)
        }
    }

    @Test(.enabled(if: Kubectl.path != nil, "kubectl is not installed"))
    func kubectlDescribesThem() async throws {
        try await ServerHarness.run { harness in
            let kubectl = try Kubectl(harness)
            let pod = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("web")).json
            let event = Self.event(uid: pod[path: "metadata", "uid"] ?? "")
            #expect(try await harness.tcp.send("POST", Self.current, event).status == 201)
            let series: APIValue = ["series": ["count": 3, "lastObservedTime": "2026-01-31T12:00:09.000000Z"]]
            _ = try await harness.tcp.send("PATCH", "\(Self.current)/web.1", series, contentType: Self.mergePatch)
            let described = try await kubectl.run("describe", "pod", "web")
            let line = described.output.split(separator: "\n").last { $0.contains("InvalidSpec") } ?? ""
            #expect(line.contains("Warning") && line.contains("no such pool"), "\(described.output)\(described.errors)")
            #expect(line.contains("egress-manager") && line.contains("x3 over"), "\(line)")
            let events = try await kubectl.run("events", "--for", "pod/web")
            #expect(events.output.contains("no such pool"), "\(events.output)\(events.errors)")
            let named = try await kubectl.run("get", "events.v1.events.k8s.io", "web.1", "-o", "jsonpath={.note}")
            #expect(named.output == "no such pool", "\(named.errors)")
        }
    }
}
