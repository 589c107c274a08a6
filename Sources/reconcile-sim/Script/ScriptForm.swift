import Kubernetes
import Reconcile

/// A line that says nothing known; ``Script`` adds where it is.
struct ScriptGrammarError: Error {
    let message: String
}

/// One form that a line may have: words, and words in capitals where the line has values of its own. `N` is a number.
struct ScriptForm<Meaning>: Sendable {
    let pattern: String
    private let words: [Substring]
    private let make: @Sendable (ScriptValues) -> Meaning

    init(_ pattern: String, _ make: @escaping @Sendable (ScriptValues) -> Meaning) {
        self.pattern = pattern
        words = pattern.split(separator: " ")
        self.make = make
    }

    /// - Throws: ``ScriptGrammarError`` that names the forms which begin alike.
    static func read(_ line: [Substring], as forms: [ScriptForm]) throws -> Meaning {
        for form in forms {
            if let values = try form.values(line) { return form.make(values) }
        }
        let alike = forms.filter { $0.words.first == line.first }
        let allowed = (alike.isEmpty ? forms : alike).map { "\"\($0.pattern)\"" }
        throw ScriptGrammarError(
            message: "\"\(line.joined(separator: " "))\" is not understood; allowed: "
                + allowed.joined(separator: ", "))
    }

    /// The values of a line of this form; nil for a line of another one.
    private func values(_ line: [Substring]) throws -> ScriptValues? {
        guard line.count == words.count else { return nil }
        var values: [String] = []
        for (word, given) in zip(words, line) {
            if word.allSatisfy(\.isUppercase) {
                values.append(String(given))
            } else if word != given {
                return nil
            }
        }
        let places = words.filter { $0.allSatisfy(\.isUppercase) }
        for (place, value) in zip(places, values) where place == "N" && !Self.isNumber(value) {
            throw ScriptGrammarError(message: "\"\(value)\" is no number for \"\(pattern)\"; allowed: 0 to 100000")
        }
        return ScriptValues(values: values)
    }

    private static func isNumber(_ text: String) -> Bool { Int(text).map { (0...100_000).contains($0) } ?? false }
}

/// What a line has in the places of a form, in their order.
struct ScriptValues {
    let values: [String]

    subscript(index: Int) -> String { values[index] }

    /// Of a place `N`, which only holds numbers.
    func number(_ index: Int) -> Int { Int(values[index]) ?? 0 }

    /// `namespace/name`, or a name in the namespace of the simulated users.
    func key(_ index: Int) -> ObjectKey {
        let parts = values[index].split(separator: "/", maxSplits: 1).map(String.init)
        return parts.count == 2
            ? ObjectKey(namespace: parts[0], name: parts[1])
            : ObjectKey(namespace: Workload.namespace, name: values[index])
    }
}
