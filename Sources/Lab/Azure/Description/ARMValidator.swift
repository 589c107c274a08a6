import JSONModel

/// Checks a request body against the description and strips what the service would ignore.
struct ARMValidator {
    let provider: ARMProvider

    /// Members that the service answers though its models lack them (recorded traffic), so that a body that was read can
    /// be sent back.
    private static let answeredOnly: Set<String> = ["Interface.kind", "InterfacePropertiesFormat.allowPort25Out"]

    /// - Returns: the body without read-only members, enumerations in the service's own casing, nulls dropped.
    /// - Throws: ``ARMFault`` that names the path, the value and what is allowed.
    func accept(_ body: JSONValue, as model: String) throws(ARMFault) -> JSONValue {
        try object(body, model, path: "")
    }

    private func object(_ value: JSONValue, _ model: String, path: String) throws(ARMFault) -> JSONValue {
        guard let given = value.members else { throw wrongType(value, "an object \(model)", path) }
        let known = ARMDescription.models(of: provider)[model] ?? []
        let membersByName = Dictionary(known.map { ($0.name.lowercased(), $0) }) { first, _ in first }
        var result: [String: JSONValue] = [:]
        for (name, child) in given.sorted(by: { $0.key < $1.key }) {
            guard let member = membersByName[name.lowercased()] else {
                if Self.answeredOnly.contains("\(model).\(name)") { continue }
                throw ARMFault.unknownMember(name, of: model, path: path)
            }
            if member.isReadOnly || child == .null { continue }
            result[member.name] = try accept(child, member.type, path: join(path, member.name))
        }
        for member in known where member.isRequired && !member.isReadOnly && result[member.name] == nil {
            // The service accepts an instance without location, as recorded traffic shows.
            if model == "VirtualMachineScaleSetVM", member.name == "location" { continue }
            throw ARMFault(
                400, path.isEmpty ? "InvalidRequestContent" : "InvalidRequestFormat",
                "Required property '\(member.name)' not found in JSON of \(model). Path '\(path)'.",
                target: join(path, member.name))
        }
        return .object(result)
    }

    private func accept(_ value: JSONValue, _ type: ARMType, path: String) throws(ARMFault) -> JSONValue {
        switch (type, value) {
        case (.string, .string), (.integer, .integer), (.boolean, .bool): return value
        case (.enumeration(let allowed), .string(let text)):
            guard let match = allowed.first(where: { $0.lowercased() == text.lowercased() }) else {
                throw ARMFault(
                    400, "InvalidParameter",
                    "Value '\(text)' of '\(path)' is not valid. Allowed values: \(allowed.joined(separator: ", ")).",
                    target: path)
            }
            return .string(match)
        case (.object(let model), _): return try object(value, model, path: path)
        case (.reference, .object):
            guard let id = value["id"] else { return [:] }
            return ["id": try accept(id, .string, path: join(path, "id"))]
        case (.opaque, .object): return value
        case (.array(let element), .array(let elements)):
            var result: [JSONValue] = []
            for (index, child) in elements.enumerated() {
                result.append(try accept(child, element, path: "\(path)[\(index)]"))
            }
            return .array(result)
        case (.tags, .object(let tags)):
            for (name, tag) in tags where tag.text == nil { throw wrongType(tag, "a string", join(path, name)) }
            return value
        default: throw wrongType(value, type.name, path)
        }
    }

    private func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    private func wrongType(_ value: JSONValue, _ expected: String, _ path: String) -> ARMFault {
        ARMFault(
            400, "InvalidRequestFormat", "Cannot parse the request.", target: path,
            details: [
                ARMFault.Detail(
                    code: "InvalidJson", message: "Expected \(expected) but found \(value.kind). Path '\(path)'.")
            ])
    }
}

extension ARMType {
    /// The word for the type in an error message.
    var name: String {
        switch self {
        case .string, .enumeration: "a string"
        case .integer: "an integer"
        case .boolean: "a boolean"
        case .object(let model), .reference(let model), .opaque(let model): "an object \(model)"
        case .array: "an array"
        case .tags: "an object of strings"
        }
    }
}
