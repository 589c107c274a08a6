import FoundationEssentials
import JSONModel

/// Makes wrong, strange and sometimes good JSON out of good JSON.
struct JSONMutator {
    var generator: SeededGenerator

    private static let strangeTexts = [
        "", " ", "\0", "\u{FEFF}", "é", "🙂", "../../etc/passwd", "%s%n", "a\nb", String(repeating: "x", count: 70_000),
        "null", "-1", "\u{202E}", "'; --", "\\u0000",
    ]
    private static let strangeIntegers = [0, -1, 1, 65_535, 65_536, 4_294_967_296, Int64.max, Int64.min]
    private static let tokens = [
        "{", "}", "[", "]", ",", ":", "\"", "null", "true", "-", "1e999", "\\u0000", "\\ud800", "{\"items\":", "\u{0}",
        "\t",
        "0x1", "[[[[", "\"id\":",
    ]

    /// A text near `value`. About half of them are JSON.
    mutating func text(near value: JSONValue) -> Data {
        var changed = value
        for _ in 0...generator.index(3) {
            changed =
                generator.chance(50)
                ? changeLeaf(changed, generator.index(max(1, leaves(changed)))) : mutate(changed, depth: 0)
        }
        guard var bytes = try? changed.json() else { return Data() }
        if generator.chance(50) { damage(&bytes) }
        return bytes
    }

    /// A text that no verb takes: JSON without its end, or with something in its way.
    mutating func brokenText(near value: JSONValue) -> Data {
        guard var bytes = try? value.json(), bytes.count > 2 else { return Data() }
        damage(&bytes)
        return Data("!".utf8) + bytes
    }

    private func leaves(_ value: JSONValue) -> Int {
        switch value {
        case .object(let members): members.values.reduce(0) { $0 + leaves($1) }
        case .array(let elements): elements.reduce(0) { $0 + leaves($1) }
        default: 1
        }
    }

    /// Another value of the same kind, at its edges, for leaf number `index` in the order of sorted names.
    private mutating func changeLeaf(_ value: JSONValue, _ index: Int) -> JSONValue {
        var before = 0
        switch value {
        case .object(var members):
            for name in members.keys.sorted() {
                guard let old = members[name] else { continue }
                let count = leaves(old)
                if index < before + count {
                    members[name] = changeLeaf(old, index - before)
                    return .object(members)
                }
                before += count
            }
            return value
        case .array(var elements):
            for (position, old) in elements.enumerated() {
                let count = leaves(old)
                if index < before + count {
                    elements[position] = changeLeaf(old, index - before)
                    return .array(elements)
                }
                before += count
            }
            return value
        case .integer, .number: return .integer(generator.pick(Self.strangeIntegers))
        case .string: return .string(generator.pick(Self.strangeTexts))
        case .bool(let old): return .bool(!old)
        case .null: return strange()
        }
    }

    private mutating func mutate(_ value: JSONValue, depth: Int) -> JSONValue {
        if depth > 0, generator.chance(25) { return strange() }
        switch value {
        case .object(var members):
            guard let name = members.keys.sorted().randomElement(using: &generator), let old = members[name] else {
                return .object(["items": strange()])
            }
            switch generator.index(6) {
            case 0: members[name] = nil
            case 1: members[generator.pick(Self.strangeTexts)] = old
            case 2: members[name] = strange()
            default: members[name] = mutate(old, depth: depth + 1)
            }
            return .object(members)
        case .array(var elements):
            guard !elements.isEmpty else { return .array([strange()]) }
            let index = generator.index(elements.count)
            switch generator.index(6) {
            case 0: elements.remove(at: index)
            case 1: elements.append(elements[index])
            case 2: elements[index] = strange()
            default: elements[index] = mutate(elements[index], depth: depth + 1)
            }
            return .array(elements)
        default: return strange()
        }
    }

    private mutating func strange() -> JSONValue {
        switch generator.index(9) {
        case 0: .null
        case 1: .bool(generator.chance(50))
        case 2: .integer(generator.pick(Self.strangeIntegers))
        case 3: .number(generator.pick([0.5, -1e300, 1e-300, 4_294_967_296.5]))
        case 4, 5: .string(generator.pick(Self.strangeTexts))
        case 6: .array((0..<generator.index(4)).map { .integer(Int64($0)) })
        case 7: .array(Array(repeating: .null, count: 300))
        default: .object([generator.pick(Self.strangeTexts): .null])
        }
    }

    private mutating func damage(_ bytes: inout Data) {
        for _ in 0...generator.index(4) where !bytes.isEmpty {
            let place = bytes.startIndex + generator.index(bytes.count)
            switch generator.index(5) {
            case 0: bytes.removeSubrange(place...)
            case 1: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 2: bytes.insert(contentsOf: Data(generator.pick(Self.tokens).utf8), at: place)
            case 3: bytes.remove(at: place)
            default: bytes.append(contentsOf: bytes[place...].prefix(64))
            }
        }
    }
}
