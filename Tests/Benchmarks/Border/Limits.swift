/// A bound on a ratio of two costs of the same run.
struct Limit {
    var claim: String
    var measured: Double
    /// The ratio must be less than this.
    var bound: Double

    var isHeld: Bool { measured < bound }

    /// All limits. The first two are requirements; the others are bounds of the design, chosen to break when the way to
    /// a plugin changes its kind (a process or an image for each call, or no gain from a batch).
    ///
    /// - Parameter cost: nanoseconds of a call.
    static func all(_ cost: (Form, Shape) -> Double) -> [Limit] {
        func ratio(_ form: Form, _ shape: Shape, to other: Form, _ single: Shape = .single) -> Double {
            cost(form, shape) / cost(other, single)
        }
        return [
            Limit(
                claim: "in process: 1,000 peers in one call, in single calls",
                measured: ratio(.inProcess, .peers, to: .inProcess), bound: 10),
            Limit(
                claim: "child process: 1,000 peers in one call, in single calls",
                measured: ratio(.process, .peers, to: .process), bound: 10),
            Limit(
                claim: "in process: 1,000 ends in one call, in single calls",
                measured: ratio(.inProcess, .items, to: .inProcess), bound: 1_000),
            Limit(
                claim: "child process: 1,000 ends in one call, in single calls",
                measured: ratio(.process, .items, to: .process), bound: 500),
            Limit(
                claim: "a single call in process, in direct calls with the border's JSON",
                measured: ratio(.inProcess, .single, to: .coded), bound: 30),
            Limit(
                claim: "a single call to a child process, in calls in process",
                measured: ratio(.process, .single, to: .inProcess), bound: 20),
            Limit(
                claim: "a single call with checking: full, in calls with checking: basic",
                measured: ratio(.checked, .single, to: .inProcess), bound: 20),
        ]
    }
}
