import JSONModel
import Kubernetes

/// JSON merge patches (RFC 7386) made from two states.
enum MergePatch {
    /// The patch that turns `old` into `new`; nil if they are equal. Members that went away become null; arrays are
    /// replaced as a whole, as the RFC has it.
    static func difference(from old: JSONValue, to new: JSONValue) -> JSONValue? {
        guard old != new else { return nil }
        guard case .object(let oldMembers) = old, case .object(let newMembers) = new else { return new }
        var patch: [String: JSONValue] = [:]
        for (name, value) in newMembers {
            guard let previous = oldMembers[name] else {
                patch[name] = value
                continue
            }
            if let change = difference(from: previous, to: value) { patch[name] = change }
        }
        for name in oldMembers.keys where newMembers[name] == nil { patch[name] = .null }
        return .object(patch)
    }
}
