/// One step from an object, list or set to what is in it, as `managedFields` names it.
///
/// Source: sigs.k8s.io/structured-merge-diff, fieldpath.
enum FieldPathElement: Hashable, Sendable {
    /// A member of an object; `f:` in FieldsV1.
    case field(String)
    /// The element of a list that has these values of its keys; `k:` in FieldsV1.
    case key([String: APIValue])
    /// A value of a set; `v:` in FieldsV1.
    case value(APIValue)

    /// Nil for the index of a list (`i:`), which no schema here leads to, and for what is no step.
    init?(fieldsV1 text: String) {
        let content = String(text.dropFirst(2))
        switch text.prefix(2) {
        case "f:": self = .field(content)
        case "k:":
            guard let members = (try? APIValueParser.parse(Array(content.utf8)))?.objectValue else { return nil }
            self = .key(members)
        case "v:":
            guard let value = try? APIValueParser.parse(Array(content.utf8)) else { return nil }
            self = .value(value)
        default: return nil
        }
    }

    var fieldsV1: String {
        switch self {
        case .field(let name): "f:\(name)"
        case .key(let members): "k:\(APIValue.object(members).text)"
        case .value(let value): "v:\(value.text)"
        }
    }

    /// As conflicts name it: `.spec`, `[type="Ready"]`, `[="a"]`.
    var text: String {
        switch self {
        case .field(let name): ".\(name)"
        case .key(let members):
            "[\(members.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.text)" }.joined(separator: ","))]"
        case .value(let value): "[=\(value.text)]"
        }
    }
}
