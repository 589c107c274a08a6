import JSONModel
import Reconcile

/// What users and machines do in a run: it follows from the seed alone, whatever goes wrong meanwhile.
struct Workload {
    enum Step: Equatable {
        case create(name: String, pool: String, publicIPs: Bool)
        /// The user who deletes waits until the object is gone before the name is used again.
        case delete(name: String)
        case addMachine(pool: String)
        case removeMachine(pool: String)
        case touch(name: String)
    }

    static let namespace = "demo"
    static let pools = ["blue", "green"]
    /// A pool that nobody made.
    static let missingPool = "nowhere"

    let steps: [(at: Duration, step: Step)]

    init(seed: UInt64) {
        var random = RunPlan.random(seed, "workload")
        var steps: [(at: Duration, step: Step)] = []
        let names = ["one", "two", "three", "four"].prefix(Int.random(in: 1...4, using: &random))
        func moment(_ range: ClosedRange<Int>) -> Duration {
            .milliseconds(Int.random(in: range, using: &random))
        }
        for name in names {
            var now = Int.random(in: 0...15_000, using: &random)
            for round in 0..<Int.random(in: 1...3, using: &random) {
                let isLost = Int.random(in: 0..<8, using: &random) == 0
                // Most meet in one pool.
                let usual = Self.pools[Int.random(in: 0..<4, using: &random) == 0 ? 1 : 0]
                let pool = isLost ? Self.missingPool : usual
                steps.append(
                    (.milliseconds(now), .create(name: name, pool: pool, publicIPs: Bool.random(using: &random))))
                if Int.random(in: 0..<3, using: &random) == 0 {
                    steps.append((.milliseconds(now) + moment(0...5000), .touch(name: name)))
                }
                now += Int.random(in: 50...15_000, using: &random)
                if round < 2, Bool.random(using: &random) {
                    steps.append((.milliseconds(now), .delete(name: name)))
                    now += Int.random(in: 0...5000, using: &random)
                } else {
                    break
                }
            }
        }
        for pool in Self.pools {
            if Bool.random(using: &random) { steps.append((moment(0...40_000), .addMachine(pool: pool))) }
            if Int.random(in: 0..<3, using: &random) == 0 {
                steps.append((moment(0...40_000), .removeMachine(pool: pool)))
            }
        }
        self.steps = steps.sorted { $0.at < $1.at }
    }
}

/// Does the steps of a workload in a world.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class Users: @unchecked Sendable {
    private let world: World
    /// Steps of a name that wait for the one before.
    private var waiting: [String: [Workload.Step]] = [:]

    init(world: World) {
        self.world = world
    }

    /// Whether everything was done.
    var isIdle: Bool { waiting.values.allSatisfy(\.isEmpty) && remaining == 0 }
    private var remaining = 0

    func begin(_ workload: Workload) {
        for pool in Workload.pools {
            world.cloud.addPool(pool)
            for _ in 0..<2 { world.addMachine(to: pool) }
        }
        remaining = workload.steps.count
        for (time, step) in workload.steps {
            world.clock.schedule(at: time) { [self] in
                remaining -= 1
                take(step)
            }
        }
    }

    private func take(_ step: Workload.Step) {
        switch step {
        case .addMachine(let pool): world.addMachine(to: pool)
        case .removeMachine(let pool):
            guard let name = world.cloud.pools[pool]?.machines.keys.sorted().first else { return }
            world.removeMachine(name, from: pool)
        case .create(let name, _, _), .delete(let name), .touch(let name):
            waiting[name, default: []].append(step)
            work(on: name)
        }
    }

    /// Does what can be done; a name that is still being deleted is looked at again.
    private func work(on name: String) {
        let key = ObjectKey(namespace: Workload.namespace, name: name)
        while let step = waiting[name]?.first {
            let found = world.gateway(key)
            if found?["metadata.deletionTimestamp"] != nil {
                world.clock.schedule(after: .seconds(1)) { [self] in work(on: name) }
                return
            }
            waiting[name]?.removeFirst()
            world.note("user: \(step)")
            switch (step, found) {
            case (.create(_, let pool, let publicIPs), nil): world.createGateway(key, pool: pool, publicIPs: publicIPs)
            case (.delete, .some(let object)): world.server.delete(World.gateways, object)
            case (.touch, .some(let object)): world.changeGateway(object)
            default: break
            }
        }
    }
}
