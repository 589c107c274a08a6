/// A field selector in its query form: `metadata.name=a,status.phase!=Failed`. Pure.
struct APIFieldSelector: Sendable, Equatable {
    struct Requirement: Sendable, Equatable {
        var field: String
        var value: String
        var isEqual: Bool
    }

    var requirements: [Requirement] = []

    var isEmpty: Bool { requirements.isEmpty }

    /// Matches against the fields of an object that its kind offers for selection; an absent field counts as empty.
    func matches(_ fields: [String: String]) -> Bool {
        requirements.allSatisfy { ((fields[$0.field] ?? "") == $0.value) == $0.isEqual }
    }

    /// The value an object's field must have, if the selector pins it to one.
    func pinned(_ field: String) -> String? {
        requirements.first { $0.field == field && $0.isEqual }?.value
    }

    /// Parses the query form. A field that is not in `supported` is a 400 Status, as in the real server.
    static func parse(_ text: String, supported: Set<String>) throws(APIStatusError) -> Self {
        var selector = Self()
        for part in text.split(separator: ",") {
            let term = part.trimmed
            if term.isEmpty { continue }
            let isEqual = !term.contains("!=")
            let separator = !isEqual ? "!=" : term.contains("==") ? "==" : "="
            guard let range = term.firstRange(of: separator) else {
                throw .badRequest("invalid field selector: '\(term)'; allowed are field=value and field!=value")
            }
            let field = term[..<range.lowerBound].trimmed
            guard supported.contains(field) else {
                throw .badRequest(
                    "field label not supported: \(field); allowed: \(supported.sorted().joined(separator: ", "))")
            }
            selector.requirements.append(
                .init(field: field, value: term[range.upperBound...].trimmed, isEqual: isEqual))
        }
        return selector
    }
}
