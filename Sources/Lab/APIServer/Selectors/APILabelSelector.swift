/// A label selector in its query form: `a=b,c!=d,e in (f,g),!h`. Pure; matches against a label map.
///
/// Grammar: k8s.io/apimachinery/pkg/labels.
struct APILabelSelector: Sendable, Equatable {
    enum Requirement: Sendable, Equatable {
        case isIn(String, Set<String>)
        case isNotIn(String, Set<String>)
        case exists(String)
        case doesNotExist(String)

        func matches(_ labels: [String: String]) -> Bool {
            switch self {
            case .isIn(let key, let values): labels[key].map(values.contains) ?? false
            case .isNotIn(let key, let values): !(labels[key].map(values.contains) ?? false)
            case .exists(let key): labels[key] != nil
            case .doesNotExist(let key): labels[key] == nil
            }
        }
    }

    var requirements: [Requirement] = []

    var isEmpty: Bool { requirements.isEmpty }

    func matches(_ labels: [String: String]) -> Bool {
        requirements.allSatisfy { $0.matches(labels) }
    }

    /// Parses the query form; empty text selects everything. Throws a 400 Status that names the bad part.
    static func parse(_ text: String) throws(APIStatusError) -> Self {
        var selector = Self()
        for part in splitOutsideParentheses(text) {
            let term = part.trimmed
            if term.isEmpty { continue }
            selector.requirements.append(try parseRequirement(term))
        }
        return selector
    }

    private static func splitOutsideParentheses(_ text: String) -> [Substring] {
        var parts: [Substring] = []
        var start = text.startIndex
        var depth = 0
        for index in text.indices {
            switch text[index] {
            case "(": depth += 1
            case ")": depth -= 1
            case "," where depth == 0:
                parts.append(text[start..<index])
                start = text.index(after: index)
            default: break
            }
        }
        parts.append(text[start...])
        return parts
    }

    private static func parseRequirement(_ term: String) throws(APIStatusError) -> Requirement {
        if term.hasPrefix("!") { return .doesNotExist(try validKey(String(term.dropFirst()).trimmed, in: term)) }
        if let (key, value) = split(term, by: "!=") {
            return .isNotIn(try validKey(key, in: term), [try validValue(value, in: term)])
        }
        if let (key, value) = split(term, by: "==") ?? split(term, by: "=") {
            return .isIn(try validKey(key, in: term), [try validValue(value, in: term)])
        }
        guard let open = term.firstIndex(of: "(") else { return .exists(try validKey(term, in: term)) }
        guard term.hasSuffix(")") else { throw unparsable(term) }
        let head = term[..<open].split(separator: " ").map(String.init)
        guard head.count == 2 else { throw unparsable(term) }
        var values: Set<String> = []
        let list = term[term.index(after: open)...].dropLast()
        for value in list.split(separator: ",", omittingEmptySubsequences: false) {
            values.insert(try validValue(value.trimmed, in: term))
        }
        let key = try validKey(head[0], in: term)
        switch head[1] {
        case "in": return .isIn(key, values)
        case "notin": return .isNotIn(key, values)
        default: throw unparsable(term)
        }
    }

    private static func split(_ term: String, by separator: String) -> (String, String)? {
        guard !term.contains("("), let range = term.firstRange(of: separator) else { return nil }
        return (term[..<range.lowerBound].trimmed, term[range.upperBound...].trimmed)
    }

    private static func validKey(_ key: String, in term: String) throws(APIStatusError) -> String {
        guard APIName.isQualifiedName(key) else { throw unparsable(term) }
        return key
    }

    private static func validValue(_ value: String, in term: String) throws(APIStatusError) -> String {
        guard APIName.isLabelValue(value) else { throw unparsable(term) }
        return value
    }

    private static func unparsable(_ term: String) -> APIStatusError {
        .badRequest(
            "unable to parse requirement '\(term)' of the label selector: "
                + "allowed are key, !key, key=value, key!=value, key in (a,b) and key notin (a,b)")
    }
}

extension StringProtocol {
    /// The text without blanks at both ends.
    var trimmed: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
