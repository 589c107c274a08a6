/// A bound on a figure of this run.
struct Limit {
    var claim: String
    var measured: Double
    var bound: Double
    /// False: the figure must be at most the bound.
    var isLeast = false

    var isHeld: Bool { isLeast ? measured >= bound : measured <= bound }

    var line: String {
        "limit: \(claim): \(decimal(measured)), at \(isLeast ? "least" : "most") \(decimal(bound)): "
            + (isHeld ? "held" : "BROKEN")
    }
}

/// A figure of both sides, as a line for people.
func row(_ title: String, _ unit: String, _ sides: [Side: Figures], _ figure: (Figures) -> Double) -> String {
    let (ours, peer) = (sides[.ours].map(figure) ?? .nan, sides[.clientGo].map(figure) ?? .nan)
    return "\(title): ours \(decimal(ours)) \(unit), client-go \(decimal(peer)) \(unit), ratio \(decimal(ours / peer))"
}

/// Our figure in client-go's.
func ratio(_ sides: [Side: Figures], _ figure: (Figures) -> Double) -> Double {
    (sides[.ours].map(figure) ?? .nan) / (sides[.clientGo].map(figure) ?? .nan)
}

/// Two decimals below 10, one above.
func decimal(_ value: Double) -> String {
    guard value.isFinite else { return "-" }
    let scale: Double = value < 10 ? 100 : 10
    return "\((value * scale).rounded() / scale)"
}
