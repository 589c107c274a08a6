import Kubernetes
import Lab
import Logging
import Reconcile
import Testing

@testable import Host

/// Two managers on a real API server: what becomes of the cluster and of the cloud when the leader ends.
@Suite(.serialized) struct LeadershipTests {
    @Test func aWarmStandbyTakesOverWithinThreeSecondsAfterACleanStop() async throws {
        try await LeadershipFixture.run { fixture in
            fixture.second.requests.forget()
            fixture.first.task.cancel()
            try await fixture.first.result.get()
            #expect(try await fixture.holder() != "first")
            // At once: no time passes for the standby, only the ways to the server and back.
            #expect(try await fixture.eventually { try await fixture.holder() == "second" })
            try await fixture.create("late")
            #expect(try await fixture.second.run(for: .seconds(20)) { try await fixture.isReady("late") })
            let lists = fixture.second.requests.all.filter { $0.verb == "list" }
            #expect(lists.isEmpty, "everything was there already")
            #expect(try await fixture.gateway("early").status?.gatewayServerProfile.port == 6000)
        }
    }

    @Test func theMetricsTellWhoLeadsAndWhatIsAskedOfTheServer() async throws {
        try await LeadershipFixture.run { fixture in
            let (leader, standby) = (fixture.first.metrics.text(), fixture.second.metrics.text())
            let status = #"leader_election_master_status{name="0a299682.microsoft.com"}"#
            #expect(leader.contains("\(status) 1\n"))
            #expect(standby.contains("\(status) 0\n"))
            for (name, text) in [("leader", leader), ("standby", standby)] {
                #expect(text.contains(#"rest_client_requests_total{code="200""#), "\(name)")
                for kind in ["StaticGatewayConfiguration", "GatewayStatus", "PodEndpoint"] {
                    let age = #"egress_watch_last_event_timestamp_seconds{kind="\#(kind)",selector=""}"#
                    #expect(text.contains(age), "\(name): \(kind)")
                }
            }
            #expect(leader.contains(#"rest_client_requests_total{code="201""#), "it has created objects")
            for verb in ["GET", "POST", "PATCH"] {
                let times = leader.split(separator: "\n").filter {
                    $0.hasPrefix("rest_client_request_duration_seconds_count{host=") && $0.contains(#"verb="\#(verb)""#)
                }
                #expect(times.count == 1 && times.first?.hasSuffix(" 0") == false, "\(verb): \(times)")
            }
            for queue in ["static-gateway", "load-balancer", "node-pool"] {
                for metric in ["queue_duration_seconds_count", "work_duration_seconds_count", "adds_total"] {
                    let line = #"workqueue_\#(metric){name="\#(queue)"} "#
                    #expect(leader.contains(line) && !leader.contains(line + "0\n"), "\(line)")
                    #expect(!standby.contains(line) || standby.contains(line + "0\n"), "a standby has no work")
                }
            }
        }
    }

    @Test func aRunThatHangsIsSeenInTheMetrics() async throws {
        let (clock, metrics) = (SteppedClock(), PrometheusRegistry())
        let (begun, begin) = AsyncStream.makeStream(of: Void.self)
        let controller = Controller(
            name: "test", concurrency: 1, logger: Logger(label: "test"),
            environment: ReconcileEnvironment(clock: clock, metrics: metrics)
        ) { _ in
            begin.finish()
            try? await clock.sleep(for: .seconds(1000))
            return .done
        }
        let running = Task { await controller.run() }
        controller.enqueue(ObjectKey(namespace: "a", name: "b"))
        for await _ in begun {}
        clock.advance(by: .seconds(30))
        controller.measureRuns()
        #expect(metrics.text().contains(#"workqueue_longest_running_processor_seconds{name="test"} 30"#))
        #expect(metrics.text().contains(#"workqueue_unfinished_work_seconds{name="test"} 30"#))
        running.cancel()
        await running.value
        controller.measureRuns()
        #expect(metrics.text().contains(#"workqueue_longest_running_processor_seconds{name="test"} 0"#))
    }

    @Test func aStandbyTakesOverWhenTheLeaseOfADeadLeaderHasRunOut() async throws {
        try await LeadershipFixture.run { fixture in
            // Dead: nothing of it reaches the server, and its clock does not move any more.
            fixture.first.requests.cut()
            // The standby's clock stood still until now, so the last renewal was seen when it was.
            let isEarly = try await fixture.second.run(for: .seconds(14.9)) { try await fixture.holder() == "second" }
            #expect(!isEarly, "the lease is 15 s")
            // A tenth of a second in which the watch may have brought that renewal, and no look at the Lease more.
            fixture.second.clock.advance(by: .milliseconds(200))
            #expect(try await fixture.eventually { try await fixture.holder() == "second" })
            try await fixture.create("late")
            #expect(try await fixture.second.run(for: .seconds(20)) { try await fixture.isReady("late") })
        }
    }

    @Test func aLeaderWhoseDeadlinePassedWritesNothingThoughItKnowsOfWork() async throws {
        try await LeadershipFixture.run { fixture in
            let (first, second) = (fixture.first, fixture.second)
            // It does not get to its timers, so nothing tells it that it has lost; the network works.
            first.clock.stall()
            first.clock.advance(by: .seconds(11))
            let before = fixture.cloud.writes
            first.requests.forget()
            try await fixture.create("late")
            #expect(
                try await fixture.eventually {
                    first.requests.all.contains { $0.verb == "get" && $0.name == "late" }
                }, "its watch has brought it to look at the new object")
            #expect(try await second.run(for: .seconds(20)) { try await fixture.isReady("late") })
            #expect(try await fixture.holder() == "second")
            // It goes on, finds that its time is over, and ends.
            first.clock.goOn()
            await #expect(throws: (any Error).self) { try await first.result.get() }
            #expect(first.requests.writes.isEmpty, "\(first.requests.writes)")
            #expect(fixture.cloud.writes.dropFirst(before.count).allSatisfy { $0.manager == "second" })
            #expect(try await fixture.gateway("early").status?.gatewayServerProfile.port == 6000)
        }
    }
}
