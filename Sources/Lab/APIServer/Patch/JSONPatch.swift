/// JSON patch (RFC 6902) over JSON pointers (RFC 6901). All operations apply, or none.
enum JSONPatch {
    /// The real server's limit on operations in one patch.
    static let maximumOperations = 10_000

    static func apply(_ patch: APIValue, to target: APIValue) throws(APIStatusError) -> APIValue {
        guard case .array(let operations) = patch else {
            throw .badRequest("a JSON patch is an array of operations, not \(patch.typeName)")
        }
        guard operations.count <= maximumOperations else {
            throw .init(
                code: 413, reason: "RequestEntityTooLarge",
                message:
                    "The allowed maximum operations in a JSON patch is \(maximumOperations), got \(operations.count)")
        }
        var result = target
        for operation in operations { try apply(operation: operation, to: &result) }
        return result
    }

    private static func apply(operation: APIValue, to target: inout APIValue) throws(APIStatusError) {
        guard let verb = operation["op"]?.stringValue, let pathText = operation["path"]?.stringValue else {
            throw .badRequest("an operation of a JSON patch needs the members op and path")
        }
        let path = try pointer(pathText)
        switch verb {
        case "add": try add(try member("value", of: operation), at: path[...], in: &target, pathText)
        case "remove": _ = try remove(at: path[...], in: &target, pathText)
        case "replace":
            let value = try member("value", of: operation)
            if path.isEmpty {
                target = value
            } else {
                _ = try remove(at: path[...], in: &target, pathText)
                try add(value, at: path[...], in: &target, pathText)
            }
        case "move", "copy":
            let fromText = try member("from", of: operation).stringValue ?? ""
            let from = try pointer(fromText)
            var source = target
            let value = try remove(at: from[...], in: &source, fromText)
            if verb == "move" { target = source }
            try add(value, at: path[...], in: &target, pathText)
        case "test":
            var copy = target
            let expected = try member("value", of: operation)
            let found = path.isEmpty ? target : try remove(at: path[...], in: &copy, pathText)
            guard found == expected else {
                throw unprocessable("testing path \(pathText) failed: the value is \(found.text)")
            }
        default:
            throw .badRequest("unknown JSON patch operation \(verb); allowed: add, remove, replace, move, copy, test")
        }
    }

    private static func member(_ name: String, of operation: APIValue) throws(APIStatusError) -> APIValue {
        guard let value = operation[name] else { throw .badRequest("a JSON patch operation lacks the member \(name)") }
        return value
    }

    /// A patch that fits no such object is 422, as in the real server.
    private static func unprocessable(_ message: String) -> APIStatusError {
        .init(
            code: 422, reason: "Invalid",
            message: "the server rejected our request due to an error in our request: \(message)")
    }

    private static func pointer(_ text: String) throws(APIStatusError) -> [String] {
        if text.isEmpty { return [] }
        guard text.hasPrefix("/") else { throw .badRequest("the JSON pointer \(text) does not start with '/'") }
        return text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map {
            String($0).replacing("~1", with: "/").replacing("~0", with: "~")
        }
    }

    private static func add(
        _ value: APIValue, at path: ArraySlice<String>, in target: inout APIValue, _ text: String
    ) throws(APIStatusError) {
        guard let first = path.first else {
            target = value
            return
        }
        if path.count == 1 {
            switch target {
            case .object: target[first] = value
            case .array(var elements):
                let index = first == "-" ? elements.count : Int(first) ?? -1
                guard (0...elements.count).contains(index) else { throw unprocessable("no index \(first): \(text)") }
                elements.insert(value, at: index)
                target = .array(elements)
            default: throw unprocessable("add operation does not apply: doc is missing path: \(text)")
            }
            return
        }
        var child = try self.child(first, of: target, text)
        try add(value, at: path.dropFirst(), in: &child, text)
        replaceChild(first, of: &target, with: child)
    }

    private static func remove(
        at path: ArraySlice<String>, in target: inout APIValue, _ text: String
    ) throws(APIStatusError) -> APIValue {
        guard let first = path.first else { throw unprocessable("the whole document cannot be removed") }
        var child = try self.child(first, of: target, text)
        if path.count > 1 {
            let removed = try remove(at: path.dropFirst(), in: &child, text)
            replaceChild(first, of: &target, with: child)
            return removed
        }
        if case .array(var elements) = target, let index = Int(first) {
            elements.remove(at: index)
            target = .array(elements)
        } else {
            target[first] = nil
        }
        return child
    }

    private static func child(
        _ name: String, of target: APIValue, _ text: String
    ) throws(APIStatusError) -> APIValue {
        switch target {
        case .object(let members):
            if let child = members[name] { return child }
        case .array(let elements):
            if let index = Int(name), elements.indices.contains(index) { return elements[index] }
        default: break
        }
        throw unprocessable("the object has no value at \(text)")
    }

    private static func replaceChild(_ name: String, of target: inout APIValue, with child: APIValue) {
        if case .array(var elements) = target, let index = Int(name), elements.indices.contains(index) {
            elements[index] = child
            target = .array(elements)
        } else {
            target[name] = child
        }
    }
}
