import ProviderKit
import Synchronization
import Testing

@testable import Host

@Suite struct ItemReservationsTests {
    @Test func anItemIsInOneCallAtATime() async throws {
        let reservations = ItemReservations()
        #expect(await reservations.claim(["a", "b"]) == ["a", "b"])
        #expect(await reservations.claim(["b", "c"]) == ["c"])
        #expect(await reservations.claimAll() == false)
        let order = Mutex<[String]>([])
        let waiting = Task {
            try await reservations.run(["a", "c"]) { order.withLock { $0.append("ran") } }
        }
        while await reservations.waitingCount == 0 { await Task.yield() }
        order.withLock { $0.append("released a") }
        await reservations.release(["a", "b"])
        order.withLock { $0.append("released c") }
        await reservations.release(["c"])
        try await waiting.value
        #expect(order.withLock { $0 } == ["released a", "released c", "ran"])
        #expect(await reservations.claimAll())
        #expect(await reservations.claim(["x"]) == [])
        let late = Task { try await reservations.run(["x"]) { true } }
        while await reservations.waitingCount == 0 { await Task.yield() }
        await reservations.releaseAll()
        #expect(try await late.value)
        #expect(await reservations.claimAll())
    }

    /// A removal that is asked for while an item is compared and mended comes after, so that nothing is left behind.
    @Test func aRemovalWaitsForTheRepair() async throws {
        let fake = FakeCapability<LoadBalancer> { _ in .init(frontendIP: "10.0.0.4", port: 6000) }
        let client = BatchingCapability<LoadBalancer>(fake)
        let item = LoadBalancer.Desired(
            id: "a", pool: PoolSelector(nodepoolName: "p"), probe: .init(path: "/", port: 1))
        let removal = Mutex<Task<[ItemResult<Nothing>], any Error>?>(nil)
        let mending = try await client.checkAndMend([item]) { results in
            #expect(results.map(\.code) == [.conflict])
            removal.withLock {
                $0 = Task { try await client.remove([PoolReference(id: "a", pool: item.pool)]) }
            }
            try? await Task.sleep(for: .milliseconds(50))
            return [item]
        }
        #expect(mending.mended.map(\.code) == [.ok])
        _ = try await removal.withLock { $0 }?.value
        #expect(fake.calls == ["check a", "ensure a", "remove a"])
        #expect(fake.desired.isEmpty)
    }

    @Test func pruningWaitsForAMomentOfRestAndReadsWhatShallExistThen() async throws {
        let fake = FakeCapability<LoadBalancer> { _ in
            try await Task.sleep(for: .milliseconds(100))
            return .init(frontendIP: "10.0.0.4", port: 6000)
        }
        let client = BatchingCapability<LoadBalancer>(fake)
        let pool = PoolSelector(nodepoolName: "p")
        async let made = client.ensure([LoadBalancer.Desired(id: "a", pool: pool, probe: .init(path: "/", port: 1))])
        while fake.calls.isEmpty { await Task.yield() }
        #expect(try await client.pruneWhenIdle { [] } == nil)
        _ = try await made
        #expect(try await client.pruneWhenIdle { [PoolReference(id: "a", pool: pool)] } == [])
        #expect(fake.calls == ["ensure a", "prune a"])
    }
}
