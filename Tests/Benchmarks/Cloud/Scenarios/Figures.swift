/// One figure of a run, with its limit if it has one.
public struct Figure: Sendable {
    public var claim: String
    public var measured: Double
    /// The figure must not be above this; nil: it is told for comparison.
    public var limit: Double?
    public var unit: String

    public init(_ claim: String, _ measured: Double, limit: Double? = nil, unit: String = "") {
        self.claim = claim
        self.measured = measured
        self.limit = limit
        self.unit = unit
    }

    public var isHeld: Bool { limit.map { measured <= $0 } ?? true }
}

extension Duration {
    /// In seconds.
    public var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}

/// The figures of a whole run.
public enum Figures {
    /// - Parameters:
    ///   - baseline: the reference's way to the same gateways.
    ///   - faulted: provisioning while half of all calls are refused for two minutes.
    public static func all(
        _ count: Int, _ baseline: Scenarios.Provisioning, _ made: Scenarios.Provisioning,
        _ steady: Scenarios.SteadyState, _ replaced: Scenarios.Repair, _ stripped: Scenarios.Repair,
        _ faulted: Scenarios.Provisioning
    ) -> [Figure] {
        provisioning(count, baseline, made) + [
            Figure("steady state: reads in the busiest minute", Double(steady.readsPerMinute.max() ?? 0), limit: 10),
            Figure("steady state: writes", Double(steady.writes), limit: 0),
            Figure("one VM replaced: PUTs of the new one", Double(replaced.instancePuts), limit: 1),
            Figure("one VM replaced: PUTs of the others", Double(replaced.otherPuts), limit: 0),
            Figure("one VM replaced: its configurations are back", replaced.time.seconds, unit: "s"),
            Figure("stripped by a roll-out: repaired", stripped.time.seconds, limit: 45, unit: "s"),
            Figure("stripped by a roll-out: most PUTs of one VM", Double(stripped.instancePuts), limit: 1),
            Figure("429 on half for 2 min: calls", Double(faulted.calls)),
            Figure("429 on half for 2 min: refused", Double(faulted.refused)),
            Figure(
                "429 on half for 2 min: calls, in those of a clean run",
                Double(faulted.calls) / Double(max(made.calls, 1)), limit: 1.5),
            Figure("429 on half for 2 min: configurations lost", Double(count - faulted.prefixes), limit: 0),
        ]
    }

    private static func provisioning(
        _ count: Int, _ baseline: Scenarios.Provisioning, _ made: Scenarios.Provisioning
    ) -> [Figure] {
        [
            Figure("created at once, reference: all ready", baseline.time.seconds, unit: "s"),
            Figure("created at once, reference: load balancer PUTs", Double(baseline.loadBalancerPuts)),
            Figure("created at once, reference: most PUTs of one VM", Double(baseline.instancePuts)),
            Figure("created at once, reference: calls", Double(baseline.calls)),
            Figure("created at once: all ready", made.time.seconds, unit: "s"),
            Figure(
                "created at once: time, in the reference's", made.time.seconds / baseline.time.seconds, limit: 1 / 20.0),
            Figure("created at once: load balancer PUTs", Double(made.loadBalancerPuts), limit: 3),
            Figure("created at once: most PUTs of one VM", Double(made.instancePuts), limit: 3),
            Figure("created at once: calls", Double(made.calls)),
            Figure("created at once: configurations without rule", Double(count - made.rules), limit: 0),
            Figure("created at once: configurations without prefix", Double(count - made.prefixes), limit: 0),
        ]
    }

    /// Claim to the left, figures to the right.
    public static func table(_ figures: [Figure]) -> [String] {
        let rows =
            [["figure", "measured", "at most", ""]]
            + figures.map { figure in
                [
                    figure.claim, "\(decimal(figure.measured))\(figure.unit.isEmpty ? "" : " \(figure.unit)")",
                    figure.limit.map(decimal) ?? "-", figure.limit == nil ? "" : figure.isHeld ? "held" : "BROKEN",
                ]
            }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                let fill = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 || column == 3 ? cell + fill : fill + cell
            }.joined(separator: "  ")
        }
    }

    /// Whole numbers as they are, others with up to three decimals.
    private static func decimal(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        if value == value.rounded() { return "\(Int(value))" }
        let scale: Double = value < 10 ? 1000 : 10
        return "\((value * scale).rounded() / scale)"
    }
}
