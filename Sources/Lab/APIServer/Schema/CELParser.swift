/// Reads a ``CELExpression``: precedence as in the CEL specification, from `||` down to members.
struct CELParser {
    private enum Token: Equatable {
        case name(String)
        case text(String)
        case integer(Int64)
        case symbol(String)
    }

    /// Rules are written by people; this bounds what a hostile CRD may cost.
    static let maximumLength = 4096
    private static let maximumDepth = 64

    private var tokens: ArraySlice<Token>
    private var depth = 0

    /// - Throws: what in the text is not of the subset, and where.
    static func parse(_ text: String) throws(CELExpression.Failure) -> CELExpression {
        guard text.utf8.count <= maximumLength else {
            throw .init(description: "longer than \(maximumLength) bytes")
        }
        var parser = CELParser(tokens: try tokens(Array(text.unicodeScalars))[...])
        let expression = try parser.disjunction()
        if let rest = parser.tokens.first { throw .init(description: "unexpected \(rest)") }
        return expression
    }

    private static func tokens(_ scalars: [UnicodeScalar]) throws(CELExpression.Failure) -> [Token] {
        var tokens: [Token] = []
        var index = 0
        func run(_ belongs: (UnicodeScalar) -> Bool) -> String {
            let start = index
            while index < scalars.count, belongs(scalars[index]) { index += 1 }
            return String(String.UnicodeScalarView(scalars[start..<index]))
        }
        while index < scalars.count {
            let scalar = scalars[index]
            if scalar.properties.isWhitespace {
                index += 1
            } else if ("0"..."9").contains(scalar) {
                let digits = run { ("0"..."9").contains($0) }
                guard let number = Int64(digits) else { throw .init(description: "\(digits) is too large") }
                tokens.append(.integer(number))
            } else if scalar == "_" || scalar.isASCII && scalar.properties.isAlphabetic {
                tokens.append(
                    .name(run { $0 == "_" || $0.isASCII && $0.properties.isAlphabetic || ("0"..."9").contains($0) }))
            } else if scalar == "'" || scalar == "\"" {
                index += 1
                let text = run { $0 != scalar && $0 != "\\" }
                guard index < scalars.count, scalars[index] == scalar else {
                    throw .init(description: "text without an end, or with an escape")
                }
                index += 1
                tokens.append(.text(text))
            } else {
                let pair = String(String.UnicodeScalarView(scalars[index..<min(index + 2, scalars.count)]))
                let isPair = ["==", "!=", "<=", ">=", "&&", "||"].contains(pair)
                guard isPair || "!<>().[],".unicodeScalars.contains(scalar) else {
                    throw .init(description: "unexpected \(scalar)")
                }
                tokens.append(.symbol(isPair ? pair : String(scalar)))
                index += isPair ? 2 : 1
            }
        }
        return tokens
    }

    private mutating func take(_ symbol: String) -> Bool {
        guard tokens.first == .symbol(symbol) else { return false }
        tokens.removeFirst()
        return true
    }

    private mutating func demand(_ symbol: String) throws(CELExpression.Failure) {
        guard take(symbol) else { throw .init(description: "expected \(symbol)") }
    }

    private mutating func disjunction() throws(CELExpression.Failure) -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else { throw .init(description: "nested deeper than \(Self.maximumDepth)") }
        var expression = try conjunction()
        while take("||") { expression = .or(expression, try conjunction()) }
        return expression
    }

    private mutating func conjunction() throws(CELExpression.Failure) -> CELExpression {
        var expression = try relation()
        while take("&&") { expression = .and(expression, try relation()) }
        return expression
    }

    private mutating func relation() throws(CELExpression.Failure) -> CELExpression {
        var expression = try unary()
        while let token = tokens.first {
            if case .symbol(let symbol) = token, let comparison = CELExpression.Comparison(rawValue: symbol) {
                tokens.removeFirst()
                expression = .compare(expression, comparison, try unary())
            } else if token == .name("in") {
                tokens.removeFirst()
                expression = .contains(element: expression, list: try unary())
            } else {
                break
            }
        }
        return expression
    }

    private mutating func unary() throws(CELExpression.Failure) -> CELExpression {
        var negations = 0
        while take("!") { negations += 1 }
        let operand = try postfix()
        return negations % 2 == 0 ? operand : .not(operand)
    }

    private mutating func postfix() throws(CELExpression.Failure) -> CELExpression {
        var expression = try primary()
        while true {
            if take(".") {
                guard case .name(let name)? = tokens.popFirst() else { throw .init(description: "expected a member") }
                expression = .member(expression, name)
            } else if take("[") {
                expression = .element(expression, try disjunction())
                try demand("]")
            } else {
                return expression
            }
        }
    }

    private mutating func primary() throws(CELExpression.Failure) -> CELExpression {
        switch tokens.popFirst() {
        case .text(let text)?: return .literal(.string(text))
        case .integer(let number)?: return .literal(.integer(number))
        case .name("true")?: return .literal(true)
        case .name("false")?: return .literal(false)
        case .name("self")?: return .itself
        case .name("has")?:
            try demand("(")
            guard case .member(let operand, let name) = try disjunction() else {
                throw .init(description: "has() needs a member, such as self.a")
            }
            try demand(")")
            return .has(operand, name)
        case .name("size")?:
            try demand("(")
            let operand = try disjunction()
            try demand(")")
            return .size(operand)
        case .symbol("(")?:
            let expression = try disjunction()
            try demand(")")
            return expression
        case let other?: throw .init(description: "unexpected \(other)")
        case nil: throw .init(description: "unexpected end")
        }
    }
}
