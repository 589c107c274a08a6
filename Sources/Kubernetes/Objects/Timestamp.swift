import FoundationEssentials

/// A point in time with whole seconds, as `metav1.Time` (RFC 3339, UTC).
public struct Timestamp: Codable, Sendable, Hashable, Comparable {
    /// The time; fractions of a second are lost when it is written.
    public var date: Date

    /// Wraps a date.
    public init(_ date: Date) {
        self.date = date
    }

    /// Reads RFC 3339 text with or without a fraction of a second; nil if it is something else.
    public init?(_ text: String) {
        guard let date = RFC3339.parse(text) else { return nil }
        self.date = date
    }

    /// RFC 3339 text in UTC without a fraction.
    public var text: String { RFC3339.format(date, fraction: false) }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.date < right.date }

    public init(from decoder: any Decoder) throws {
        date = try RFC3339.decode(from: decoder)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// A point in time with microseconds, as `metav1.MicroTime`; Leases use it.
public struct MicroTimestamp: Codable, Sendable, Hashable, Comparable {
    /// The time; what is finer than a microsecond is lost when it is written.
    public var date: Date

    /// Wraps a date.
    public init(_ date: Date) {
        self.date = date
    }

    /// RFC 3339 text in UTC with six digits of fraction; an API server refuses a MicroTime with fewer.
    public var text: String { RFC3339.format(date, fraction: true) }

    public static func < (left: MicroTimestamp, right: MicroTimestamp) -> Bool { left.date < right.date }

    public init(from decoder: any Decoder) throws {
        date = try RFC3339.decode(from: decoder)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// Text form of times on the wire.
private enum RFC3339 {
    static func parse(_ text: String) -> Date? {
        // The fraction is read by hand: the format style either demands one or refuses one.
        guard let dot = text.firstIndex(of: ".") else {
            return try? Date.ISO8601FormatStyle().parse(text)
        }
        let afterDot = text[text.index(after: dot)...]
        let digits = afterDot.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, digits.count <= 9, let fraction = Double("0.\(digits)"),
            let whole = try? Date.ISO8601FormatStyle().parse(String(text[..<dot]) + afterDot.dropFirst(digits.count))
        else { return nil }
        return whole.addingTimeInterval(fraction)
    }

    static func format(_ date: Date, fraction: Bool) -> String {
        guard fraction else { return Date.ISO8601FormatStyle().format(date) }
        let microseconds = Int64((date.timeIntervalSince1970 * 1_000_000).rounded())
        let seconds = microseconds.quotientFloor(1_000_000)
        let rest = String(microseconds - seconds * 1_000_000)
        let text = Date.ISO8601FormatStyle().format(Date(timeIntervalSince1970: Double(seconds)))
        return "\(text.dropLast()).\(String(repeating: "0", count: 6 - rest.count))\(rest)Z"
    }

    static func decode(from decoder: any Decoder) throws -> Date {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let date = parse(text) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "\"\(text)\" is no time; allowed: RFC 3339, such as 2026-01-31T12:00:00Z")
        }
        return date
    }
}

extension Int64 {
    /// Division that rounds down also for times before 1970.
    fileprivate func quotientFloor(_ divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
