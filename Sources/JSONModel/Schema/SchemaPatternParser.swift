/// A pattern, read.
indirect enum SchemaPatternTree {
    case character(ScalarSet)
    case start
    case end
    case sequence([SchemaPatternTree])
    case choice([SchemaPatternTree])
    /// At least, at most (nil: without end).
    case repetition(SchemaPatternTree, Int, Int?)
}

/// Reads the text of a pattern by recursive descent.
struct SchemaPatternParser {
    private typealias Ranges = [ClosedRange<UInt32>]

    private static let digits: Ranges = [0x30...0x39]
    private static let word: Ranges = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
    /// WhiteSpace and LineTerminator of ECMA-262.
    private static let space: Ranges = [
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
    ]
    private static let lineEnds: Ranges = [0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029]

    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var depth = 0

    init(_ text: String) {
        scalars = Array(text.unicodeScalars)
    }

    mutating func parse() throws(SchemaPatternError) -> SchemaPatternTree {
        let tree = try choice()
        guard position == scalars.count else { throw failure("an unmatched )") }
        return tree
    }

    private var current: Unicode.Scalar? {
        position < scalars.count ? scalars[position] : nil
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard current == scalar else { return false }
        position += 1
        return true
    }

    private func failure(_ what: String) -> SchemaPatternError {
        SchemaPatternError("has \(what) at character \(position + 1), which is not supported")
    }

    private mutating func choice() throws(SchemaPatternError) -> SchemaPatternTree {
        var alternatives = [try sequence()]
        while take("|") { alternatives.append(try sequence()) }
        return alternatives.count == 1 ? alternatives[0] : .choice(alternatives)
    }

    private mutating func sequence() throws(SchemaPatternError) -> SchemaPatternTree {
        var parts: [SchemaPatternTree] = []
        while let scalar = current, scalar != "|", scalar != ")" {
            let atom = try atom(scalar)
            parts.append(try quantified(atom))
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func atom(_ scalar: Unicode.Scalar) throws(SchemaPatternError) -> SchemaPatternTree {
        position += 1
        switch scalar {
        case "^": return .start
        case "$": return .end
        case ".": return .character(ScalarSet(Self.lineEnds, isInverted: true))
        case "(": return try group()
        case "[": return .character(try characterClass())
        case "\\":
            let (ranges, isInverted) = try escape(inClass: false)
            return .character(ScalarSet(ranges, isInverted: isInverted))
        case "*", "+", "?", "{", "}", "]":
            position -= 1
            throw failure("an unescaped \(scalar)")
        default: return .character(ScalarSet([scalar.value...scalar.value]))
        }
    }

    private mutating func group() throws(SchemaPatternError) -> SchemaPatternTree {
        if take("?") {
            guard take(":") else { throw failure("a look-around or a named group") }
        }
        depth += 1
        guard depth <= SchemaPattern.maximumDepth else {
            throw SchemaPatternError("has groups in groups; allowed: \(SchemaPattern.maximumDepth) levels")
        }
        let tree = try choice()
        guard take(")") else { throw failure("no ) for a (") }
        depth -= 1
        return tree
    }

    private mutating func quantified(_ atom: SchemaPatternTree) throws(SchemaPatternError) -> SchemaPatternTree {
        let bounds: (least: Int, most: Int?)
        if take("*") {
            bounds = (0, nil)
        } else if take("+") {
            bounds = (1, nil)
        } else if take("?") {
            bounds = (0, 1)
        } else if take("{") {
            bounds = try braces()
        } else {
            return atom
        }
        // Lazy or not, the same texts match.
        _ = take("?")
        if let next = current, ["*", "+", "?", "{"].contains(next) { throw failure("a repeated repetition") }
        return .repetition(atom, bounds.least, bounds.most)
    }

    /// After the `{`.
    private mutating func braces() throws(SchemaPatternError) -> (least: Int, most: Int?) {
        let least = try number()
        guard take(",") else {
            guard take("}") else { throw failure("no } for a {") }
            return (least, least)
        }
        if take("}") { return (least, nil) }
        let most = try number()
        guard take("}"), least <= most else { throw failure("bounds other than {n}, {n,} and {n,m}") }
        return (least, most)
    }

    private mutating func number() throws(SchemaPatternError) -> Int {
        var value = 0
        let start = position
        while let digit = current, ("0"..."9").contains(digit) {
            value = value * 10 + Int(digit.value - 0x30)
            guard value <= SchemaPattern.maximumInstructions else {
                throw failure("a repetition of more than \(SchemaPattern.maximumInstructions)")
            }
            position += 1
        }
        guard position > start else { throw failure("bounds other than {n}, {n,} and {n,m}") }
        return value
    }

    /// After the `[`.
    private mutating func characterClass() throws(SchemaPatternError) -> ScalarSet {
        let isInverted = take("^")
        var ranges: Ranges = []
        while let scalar = current, scalar != "]" {
            let first = try classAtom(scalar)
            guard current == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
                ranges += first
                continue
            }
            position += 1
            let last = try classAtom(scalars[position])
            guard let low = Self.single(first), let high = Self.single(last), low <= high else {
                throw failure("a range out of order")
            }
            ranges.append(low...high)
        }
        guard take("]") else { throw failure("no ] for a [") }
        return ScalarSet(ranges, isInverted: isInverted)
    }

    private mutating func classAtom(_ scalar: Unicode.Scalar) throws(SchemaPatternError) -> Ranges {
        position += 1
        guard scalar == "\\" else { return [scalar.value...scalar.value] }
        let (ranges, isInverted) = try escape(inClass: true)
        return isInverted ? Self.complement(ranges) : ranges
    }

    /// The one scalar of a set of one.
    private static func single(_ ranges: Ranges) -> UInt32? {
        guard ranges.count == 1, ranges[0].count == 1 else { return nil }
        return ranges[0].lowerBound
    }

    private static func complement(_ ranges: Ranges) -> Ranges {
        var rest: Ranges = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { rest.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        rest.append(next...0x10FFFF)
        return rest
    }

    /// After the backslash.
    private mutating func escape(inClass: Bool) throws(SchemaPatternError) -> (Ranges, isInverted: Bool) {
        guard let scalar = current else { throw failure("a lone backslash") }
        position += 1
        switch scalar {
        case "d": return (Self.digits, false)
        case "D": return (Self.digits, true)
        case "w": return (Self.word, false)
        case "W": return (Self.word, true)
        case "s": return (Self.space, false)
        case "S": return (Self.space, true)
        case "n": return ([0x0A...0x0A], false)
        case "r": return ([0x0D...0x0D], false)
        case "t": return ([0x09...0x09], false)
        case "f": return ([0x0C...0x0C], false)
        case "v": return ([0x0B...0x0B], false)
        case "0": return ([0...0], false)
        case "x": return try (hexadecimal(digits: 2), false)
        case "u": return try (take("{") ? hexadecimal(digits: nil) : hexadecimal(digits: 4), false)
        case "^", "$", "\\", ".", "*", "+", "?", "(", ")", "[", "]", "{", "}", "|", "/", "-":
            return ([scalar.value...scalar.value], false)
        default:
            position -= 1
            throw failure("the escape \\\(scalar)")
        }
    }

    /// - Parameter digits: nil: up to the `}`.
    private mutating func hexadecimal(digits: Int?) throws(SchemaPatternError) -> Ranges {
        var value: UInt32 = 0
        var count = 0
        while let scalar = current, digits.map({ count < $0 }) ?? (scalar != "}") {
            guard let digit = Character(scalar).hexDigitValue, scalar.isASCII, count < 6 else {
                throw failure("a character that is no hexadecimal digit")
            }
            value = value << 4 | UInt32(digit)
            count += 1
            position += 1
        }
        guard digits == nil ? count > 0 && take("}") : count == digits, Unicode.Scalar(value) != nil else {
            throw failure("an escape that is no character")
        }
        return [value...value]
    }
}
