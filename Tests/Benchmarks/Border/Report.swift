/// The costs as lines of a table, and what became of the limits.
struct Report {
    let costs: [Form: [Shape: Cost]]

    private func cost(_ form: Form, _ shape: Shape) -> Cost {
        costs[form]?[shape] ?? Cost(wall: .nan, processor: .nan)
    }

    var table: [String] {
        var rows = [["form", "one call", "time", "CPU", "time/peer", "x direct", "x direct+JSON", "x single"]]
        for shape in Shape.allCases {
            for form in Form.allCases {
                let cost = cost(form, shape)
                rows.append([
                    form.title, shape.title, Self.time(cost.wall), Self.time(cost.processor),
                    Self.time(cost.wall / Double(shape.count)),
                    Self.decimal(cost.wall / self.cost(.direct, shape).wall),
                    Self.decimal(cost.wall / self.cost(.coded, shape).wall),
                    Self.decimal(cost.wall / self.cost(form, .single).wall),
                ])
            }
        }
        return Self.aligned(rows)
    }

    var limits: [Limit] { Limit.all { cost($0, $1).wall } }

    static func line(_ limit: Limit) -> String {
        "limit: \(limit.claim): \(decimal(limit.measured)), less than \(decimal(limit.bound)): "
            + (limit.isHeld ? "held" : "BROKEN")
    }

    /// Microseconds, for people.
    private static func time(_ nanoseconds: Double) -> String { "\(decimal(nanoseconds / 1_000)) us" }

    /// Two decimals below 10, one above.
    private static func decimal(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        let scale: Double = value < 10 ? 100 : 10
        return "\((value * scale).rounded() / scale)"
    }

    /// The first two columns to the left, figures to the right.
    private static func aligned(_ rows: [[String]]) -> [String] {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).enumerated().map { column, cell in
                let fill = String(repeating: " ", count: cell.1 - cell.0.count)
                return column < 2 ? cell.0 + fill : fill + cell.0
            }.joined(separator: "  ")
        }
    }
}
