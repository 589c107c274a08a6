import JSONModel
import ProviderKit

/// Fields of one object, by name without case; text is trimmed, as upstream does (behaviour section 6.1).
struct FieldReader {
    private let fields: [String: JSONValue]

    init(_ value: JSONValue) {
        fields = Dictionary((value.members ?? [:]).map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
    }

    /// Text; nil if absent or empty.
    func text(_ name: String) throws(ProviderError) -> String? {
        switch fields[name.lowercased()] {
        case nil, .null: return nil
        case .string(let text):
            let trimmed = trimmedOfWhitespace(text)
            return trimmed.isEmpty ? nil : trimmed
        case .some(let other):
            throw ProviderError(.invalid, "cloudConfig.\(name): must be a string, not \(other.kind)")
        }
    }

    func required(_ name: String) throws(ProviderError) -> String {
        guard let text = try text(name) else {
            throw ProviderError(.invalid, "cloudConfig.\(name): is missing; must be a string that is not empty")
        }
        return text
    }

    /// A boolean, also as the words true and false.
    func flag(_ name: String) throws(ProviderError) -> Bool {
        switch fields[name.lowercased()] {
        case nil, .null: return false
        case .bool(let flag): return flag
        case .string(let text) where ["true", "false", ""].contains(text.lowercased()):
            return text.lowercased() == "true"
        case .some(let other):
            throw ProviderError(
                .invalid, "cloudConfig.\(name): must be true or false, not \(other.text ?? other.kind)")
        }
    }

    /// A number in `range`, also as text; nil if absent or zero, which the Go client library takes for absent.
    func number(_ name: String, in range: ClosedRange<Double>) throws(ProviderError) -> Double? {
        let number: Double
        switch fields[name.lowercased()] {
        case nil, .null: return nil
        case .integer(let value): number = Double(value)
        case .number(let value): number = value
        case .string(let text) where text.isEmpty: return nil
        case .string(let text) where Double(text) != nil: number = Double(text) ?? 0
        case .some(let other):
            throw ProviderError(.invalid, "cloudConfig.\(name): must be a number, not \(other.text ?? other.kind)")
        }
        if number == 0 { return nil }
        guard range.contains(number) else {
            throw ProviderError(
                .invalid,
                "cloudConfig.\(name): \(number) is not in \(range.lowerBound)..\(range.upperBound)")
        }
        return number
    }
}

func trimmedOfWhitespace(_ text: String) -> String {
    var result = text[...].drop { $0.isWhitespace }
    while let last = result.last, last.isWhitespace { result.removeLast() }
    return String(result)
}

func trimmingSlash(_ text: String) -> String {
    text.hasSuffix("/") ? String(text.dropLast()) : text
}
