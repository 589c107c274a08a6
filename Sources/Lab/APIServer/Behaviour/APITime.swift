import FoundationEssentials

/// Times as Kubernetes writes them: RFC 3339 in UTC with whole seconds.
enum APITime {
    static func format(_ date: Date) -> String {
        date.formatted(Date.ISO8601FormatStyle())
    }

    /// Accepts whole seconds and fractions (`metav1.MicroTime`). Nil for anything else.
    static func parse(_ text: String) -> Date? {
        if let date = try? Date(text, strategy: Date.ISO8601FormatStyle()) { return date }
        return try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// A length of time as `kubectl` prints it: two units at most (`3m20s`, `5h`, `2d3h`, `410d`).
    ///
    /// Source: k8s.io/apimachinery/pkg/util/duration HumanDuration.
    static func humanDuration(seconds total: Int) -> String {
        switch total {
        case ..<(-1): return "<invalid>"
        case ..<0: return "0s"
        case ..<120: return "\(total)s"
        default: break
        }
        let minutes = total / 60
        if minutes < 10 { return joined(minutes, "m", total % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        let hours = minutes / 60
        if hours < 8 { return joined(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        let days = hours / 24
        if days < 8 { return joined(days, "d", hours % 24, "h") }
        if days < 365 * 2 { return "\(days)d" }
        if days < 365 * 8 { return joined(days / 365, "y", days % 365, "d") }
        return "\(days / 365)y"
    }

    /// The age of something, from its RFC 3339 time of birth; `<unknown>` without one.
    static func age(of text: String?, at now: Date) -> String {
        guard let text, let date = parse(text) else { return "<unknown>" }
        return humanDuration(seconds: Int(now.timeIntervalSince(date)))
    }

    private static func joined(_ major: Int, _ majorUnit: String, _ minor: Int, _ minorUnit: String) -> String {
        minor == 0 ? "\(major)\(majorUnit)" : "\(major)\(majorUnit)\(minor)\(minorUnit)"
    }
}
