import JSONModel
import Reconcile

/// One simulated world: its time, its API server, its cloud, what was seen to go wrong, and a trace of all of it.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class World: @unchecked Sendable {
    let clock = VirtualClock()
    let server: SimulatedServer
    let cloud: SimulatedCloud
    let trace: Trace
    /// Broken rules, in the order in which they were seen.
    private(set) var violations: [String] = []

    init(trace: Trace) {
        self.trace = trace
        server = SimulatedServer(clock: clock)
        cloud = SimulatedCloud()
        server.onRemoved = { [unowned self] plural, object in
            note("server: \(plural) \(SimulatedServer.key(object)) is gone")
            guard let uid = object["metadata.uid"]?.text, cloud.holds(id: uid) else { return }
            violate("\(plural) \(SimulatedServer.key(object)) (\(uid)) is gone while the cloud holds resources of it")
        }
    }

    /// Writes one line of the trace.
    func note(_ text: @autoclosure () -> String) { trace.add(clock.elapsed, text()) }

    /// Reports a broken rule.
    func violate(_ text: String) {
        note("VIOLATION: \(text)")
        violations.append(text)
    }

    private var keysSeen: Set<ObjectKey> = []
    private var fixed: [String: String] = [:]

    /// True once per key.
    func isFirstRun(of key: ObjectKey) -> Bool { keysSeen.insert(key).inserted }

    /// Holds something against the value it had the first time: what was promised to users may not change.
    func keepSame(_ thing: String, _ value: String) {
        if let old = fixed[thing], old != value { violate("\(thing) was \(old) and is \(value)") }
        fixed[thing] = fixed[thing] ?? value
    }
}

/// What happened in a world, as text and as a number that two equal runs share.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class Trace: @unchecked Sendable {
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var lines = 0
    private let print: ((String) -> Void)?

    /// - Parameter print: gets each line; nil: lines are only counted and hashed.
    init(print: ((String) -> Void)? = nil) {
        self.print = print
    }

    func add(_ time: Duration, _ text: String) {
        let (seconds, attoseconds) = time.components
        let line = "\(seconds).\(String(1_000_000 + attoseconds / 1_000_000_000_000).dropFirst()) \(text)"
        // FNV-1a.
        for byte in line.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        lines += 1
        print?(line)
    }
}
