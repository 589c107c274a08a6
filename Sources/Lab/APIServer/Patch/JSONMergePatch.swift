/// JSON merge patch (RFC 7386): objects merge, null removes, anything else replaces.
enum JSONMergePatch {
    static func apply(_ patch: APIValue, to target: APIValue) -> APIValue {
        guard case .object(let changes) = patch else { return patch }
        var members = target.objectValue ?? [:]
        for (name, change) in changes {
            if change.isNull {
                members[name] = nil
            } else {
                members[name] = apply(change, to: members[name] ?? .null)
            }
        }
        return .object(members)
    }
}
