/// A `pattern`: the part of ECMA-262 regular expressions that can be matched in time linear in the text.
///
/// Literals, `.`, classes with ranges and `\d \w \s` and their opposites, groups, `|`, `* + ? {n} {n,} {n,m}`, `^` and
/// `$`, and the escapes `\n \r \t \f \v \0 \xHH \uHHHH \u{...}`. As in JSON Schema a pattern may match anywhere in the
/// text unless it is anchored; characters are Unicode scalars. What would need backtracking or tables (backreferences,
/// look-around, `\b`, `\p`) is refused by name.
///
/// Compiled to a nondeterministic automaton that is run with all its states at once (Thompson's construction), because
/// schemas and values come from other people: no pair of them may take exponential time.
struct SchemaPattern: Sendable {
    enum Instruction: Sendable {
        case character(ScalarSet)
        /// Goes on at both places.
        case fork(Int, Int)
        case jump(Int)
        case atStart
        case atEnd
        case match
    }

    /// Bytes of a pattern.
    static let maximumLength = 1024
    /// Instructions after repetitions are written out.
    static let maximumInstructions = 4096
    /// Groups in groups.
    static let maximumDepth = 32

    let text: String
    private let program: [Instruction]
    /// Every way begins with `^`: no need to begin again at each character.
    private let isAnchored: Bool

    init(_ text: String) throws(SchemaPatternError) {
        guard text.utf8.count <= Self.maximumLength else {
            throw SchemaPatternError("is \(text.utf8.count) bytes long; allowed: at most \(Self.maximumLength)")
        }
        var parser = SchemaPatternParser(text)
        let tree = try parser.parse()
        var assembler = Assembler()
        try assembler.append(tree)
        assembler.program.append(.match)
        self.text = text
        program = assembler.program
        if case .atStart? = program.first { isAnchored = true } else { isAnchored = false }
    }

    /// Whether the pattern matches somewhere in `text`; nil if `steps` reaches `maximum` first.
    func matches(_ text: String, steps: inout Int, maximum: Int) -> Bool? {
        var current = Threads(count: program.count)
        var next = Threads(count: program.count)
        var stack: [Int] = []
        var position = 0
        var scalars = text.unicodeScalars.makeIterator()
        var scalar = scalars.next()
        while true {
            if position == 0 || !isAnchored {
                if follow(0, position, scalar == nil, &current, &stack) { return true }
            }
            guard let character = scalar else { return false }
            guard !current.isEmpty || !isAnchored else { return false }
            steps += current.members.count + 1
            guard steps < maximum else { return nil }
            scalar = scalars.next()
            position += 1
            next.clear()
            for thread in current.members {
                guard case .character(let set) = program[thread], set.contains(character) else { continue }
                if follow(thread + 1, position, scalar == nil, &next, &stack) { return true }
            }
            swap(&current, &next)
        }
    }

    /// Adds the states that are reached from `start` without a character; true if one of them is the match.
    private func follow(
        _ start: Int, _ position: Int, _ isEnd: Bool, _ threads: inout Threads, _ stack: inout [Int]
    ) -> Bool {
        stack.append(start)
        while let thread = stack.popLast() {
            guard threads.visit(thread) else { continue }
            switch program[thread] {
            case .match:
                stack.removeAll(keepingCapacity: true)
                return true
            case .character: threads.members.append(thread)
            case .jump(let target): stack.append(target)
            case .fork(let first, let second):
                stack.append(second)
                stack.append(first)
            case .atStart: if position == 0 { stack.append(thread + 1) }
            case .atEnd: if isEnd { stack.append(thread + 1) }
            }
        }
        return false
    }

    /// A set of states that is emptied in constant time.
    private struct Threads {
        /// States that wait for a character.
        var members: [Int] = []
        private var marks: [UInt32]
        private var generation: UInt32 = 1

        init(count: Int) {
            marks = [UInt32](repeating: 0, count: count)
        }

        var isEmpty: Bool { members.isEmpty }

        mutating func clear() {
            members.removeAll(keepingCapacity: true)
            generation &+= 1
            // After 2^32 characters the marks would lie.
            if generation == 0 {
                for index in marks.indices { marks[index] = 0 }
                generation = 1
            }
        }

        /// False if the state was visited before.
        mutating func visit(_ state: Int) -> Bool {
            guard marks[state] != generation else { return false }
            marks[state] = generation
            return true
        }
    }

    /// Writes a syntax tree out as instructions.
    private struct Assembler {
        var program: [Instruction] = []

        mutating func append(_ tree: SchemaPatternTree) throws(SchemaPatternError) {
            guard program.count < SchemaPattern.maximumInstructions else {
                throw SchemaPatternError(
                    "repeats too much; allowed: \(SchemaPattern.maximumInstructions) steps when written out")
            }
            switch tree {
            case .character(let set): program.append(.character(set))
            case .start: program.append(.atStart)
            case .end: program.append(.atEnd)
            case .sequence(let trees): for tree in trees { try append(tree) }
            case .choice(let trees): try appendChoice(trees)
            case .repetition(let tree, let least, let most): try appendRepetition(tree, least, most)
            }
        }

        private mutating func appendChoice(_ trees: [SchemaPatternTree]) throws(SchemaPatternError) {
            var exits: [Int] = []
            for (index, tree) in trees.enumerated() {
                if index == trees.count - 1 {
                    try append(tree)
                } else {
                    let fork = program.count
                    program.append(.jump(0))
                    try append(tree)
                    exits.append(program.count)
                    program.append(.jump(0))
                    program[fork] = .fork(fork + 1, program.count)
                }
            }
            for exit in exits { program[exit] = .jump(program.count) }
        }

        private mutating func appendRepetition(
            _ tree: SchemaPatternTree, _ least: Int, _ most: Int?
        ) throws(SchemaPatternError) {
            for _ in 0..<least {
                let before = program.count
                try append(tree)
                // What takes no character is the same once as many times.
                if program.count == before { return }
            }
            guard let most else {
                let fork = program.count
                program.append(.jump(0))
                try append(tree)
                program.append(.jump(fork))
                program[fork] = .fork(fork + 1, program.count)
                return
            }
            var forks: [Int] = []
            for _ in least..<most {
                forks.append(program.count)
                program.append(.jump(0))
                try append(tree)
            }
            for fork in forks { program[fork] = .fork(fork + 1, program.count) }
        }
    }
}

/// Why a pattern is refused.
struct SchemaPatternError: Error, Sendable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Unicode scalars.
struct ScalarSet: Sendable {
    /// Sorted, without overlap.
    private let ranges: [ClosedRange<UInt32>]
    private let isInverted: Bool
    /// The answer for the first 128 scalars, one bit each.
    private let ascii: (UInt64, UInt64)

    init(_ ranges: [ClosedRange<UInt32>], isInverted: Bool = false) {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        self.ranges = merged
        self.isInverted = isInverted
        var low: UInt64 = 0
        var high: UInt64 = 0
        for value in UInt32(0)..<128 where merged.contains(where: { $0.contains(value) }) != isInverted {
            if value < 64 { low |= 1 << UInt64(value) } else { high |= 1 << UInt64(value - 64) }
        }
        ascii = (low, high)
    }

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        let value = scalar.value
        if value < 64 { return ascii.0 & (1 << UInt64(value)) != 0 }
        if value < 128 { return ascii.1 & (1 << UInt64(value - 64)) != 0 }
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        return (low < ranges.count && ranges[low].contains(value)) != isInverted
    }
}
