import JSONModel

extension JSONValue {
    /// Merges as Microsoft.Compute merges a PUT into what it has: objects member by member, all else replaced whole.
    func merged(with update: JSONValue) -> JSONValue {
        guard case .object(var members) = self, case .object(let changes) = update else { return update }
        for (name, change) in changes {
            members[name] = members[name]?.merged(with: change) ?? change
        }
        return .object(members)
    }
}
