import FoundationEssentials

/// Time and randomness of the server, as parameters, so that tests can fix them.
struct APIClock: Sendable {
    var now: @Sendable () -> Date = { Date() }
    /// A new object's uid: a lower-case UUID.
    var makeUID: @Sendable () -> String = { UUID().uuidString.lowercased() }
    /// Five characters that complete a `generateName`, from the alphabet of the real server (no vowels, no 0, 1, 3).
    var makeNameSuffix: @Sendable () -> String = {
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
        return String((0..<5).compactMap { _ in alphabet.randomElement() })
    }

    /// Now, as RFC 3339.
    func text() -> String { APITime.format(now()) }

    /// Now plus seconds, as RFC 3339.
    var textAfter: @Sendable (_ seconds: Int64) -> String {
        let now = now
        return { APITime.format(now().addingTimeInterval(TimeInterval($0))) }
    }
}
