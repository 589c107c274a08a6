/// The part of the Common Expression Language that this project's CRDs use in `x-kubernetes-validations`: `self` and its
/// members, list elements by index, literals (text in quotes, integers, `true`, `false`), `has()`, `size()`, `in`, `!`,
/// `==`, `!=`, `<`, `<=`, `>`, `>=`, `&&`, `||` and parentheses. A rule with anything else is refused with its CRD.
indirect enum CELExpression: Sendable, Equatable {
    enum Comparison: String, Sendable {
        case equal = "=="
        case unequal = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
    }

    case literal(APIValue)
    /// The value that the rule's schema describes.
    case itself
    case member(CELExpression, String)
    case element(CELExpression, CELExpression)
    case has(CELExpression, String)
    case size(CELExpression)
    case not(CELExpression)
    case compare(CELExpression, Comparison, CELExpression)
    case contains(element: CELExpression, list: CELExpression)
    case and(CELExpression, CELExpression)
    case or(CELExpression, CELExpression)

    /// Why a rule has no value; the server then treats the object as one that breaks it.
    struct Failure: Error, Sendable, CustomStringConvertible {
        var description: String
    }

    func evaluate(_ value: APIValue) throws(Failure) -> APIValue {
        switch self {
        case .literal(let literal): return literal
        case .itself: return value
        case .member(let operand, let name):
            guard let found = try operand.evaluate(value)[name] else {
                throw Failure(description: "no such key: \(name)")
            }
            return found
        case .element(let operand, let index): return try Self.element(of: operand, at: index, value)
        case .has(let operand, let name):
            let holder = try operand.evaluate(value)
            guard holder.objectValue != nil else { throw Failure(description: "has() of what is no object") }
            return .bool(holder[name] != nil)
        case .size(let operand): return try Self.size(try operand.evaluate(value))
        case .not(let operand): return .bool(try !Self.flag(operand, value))
        case .compare(let left, let comparison, let right):
            return .bool(try Self.holds(try left.evaluate(value), comparison, try right.evaluate(value)))
        case .contains(let element, let list):
            let wanted = try element.evaluate(value)
            guard let elements = try list.evaluate(value).arrayValue else {
                throw Failure(description: "`in` of what is no list")
            }
            return .bool(elements.contains(wanted))
        case .and(let left, let right): return .bool(try Self.join(left, right, value, decisive: false))
        case .or(let left, let right): return .bool(try Self.join(left, right, value, decisive: true))
        }
    }

    /// `&&` and `||`: a side that decides does so even where the other has no value.
    private static func join(
        _ left: CELExpression, _ right: CELExpression, _ value: APIValue, decisive: Bool
    ) throws(Failure) -> Bool {
        let first: Bool
        do {
            first = try flag(left, value)
        } catch {
            if try flag(right, value) == decisive { return decisive }
            throw error
        }
        return first == decisive ? decisive : try flag(right, value)
    }

    private static func flag(_ expression: CELExpression, _ value: APIValue) throws(Failure) -> Bool {
        guard let flag = try expression.evaluate(value).boolValue else { throw Failure(description: "not a bool") }
        return flag
    }

    private static func element(
        of operand: CELExpression, at index: CELExpression, _ value: APIValue
    ) throws(Failure) -> APIValue {
        guard let elements = try operand.evaluate(value).arrayValue,
            let position = try index.evaluate(value).integerValue.flatMap(Int.init(exactly:)),
            elements.indices.contains(position)
        else { throw Failure(description: "index out of bounds, or of what is no list") }
        return elements[position]
    }

    private static func size(_ value: APIValue) throws(Failure) -> APIValue {
        switch value {
        case .string(let text): .integer(Int64(text.unicodeScalars.count))
        case .array(let elements): .integer(Int64(elements.count))
        case .object(let members): .integer(Int64(members.count))
        default: throw Failure(description: "size() of what has none")
        }
    }

    private static func holds(
        _ left: APIValue, _ comparison: Comparison, _ right: APIValue
    ) throws(Failure) -> Bool {
        switch comparison {
        case .equal: return left == right
        case .unequal: return left != right
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard let first = left.doubleValue, let second = right.doubleValue else {
                throw Failure(description: "\(comparison.rawValue) of what is no number")
            }
            switch comparison {
            case .less: return first < second
            case .lessOrEqual: return first <= second
            case .greater: return first > second
            default: return first >= second
            }
        }
    }
}
