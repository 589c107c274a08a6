/// Checks the query of a request against what its operation takes.
///
/// ARM lets unknown parameters pass without a word. Here they are refused, so that a misspelt one does not go unseen.
struct ARMQuery {
    let operation: ARMOperation
    let location: String

    /// The parameter that carries a list on; lists take it besides their own.
    static let skipToken = "$skiptoken"

    func check(_ query: [String: String]) throws(ARMFault) {
        try checkVersion(query["api-version"])
        let isList = operation.method == "GET" && operation.path.split(separator: "/").count % 2 == 1
        let allowed = operation.query + (isList ? [Self.skipToken] : [])
        for (name, value) in query.sorted(by: { $0.key < $1.key }) where name != "api-version" {
            guard allowed.contains(where: { $0.lowercased() == name }) else {
                throw ARMFault(
                    400, "InvalidParameter",
                    "Query parameter '\(name)' is none of \(operation.handler.rawValue)'s: "
                        + (["api-version"] + allowed).joined(separator: ", ") + ".", target: name)
            }
            try checkValue(name, value)
        }
    }

    private func checkValue(_ name: String, _ value: String) throws(ARMFault) {
        let allowed: [String]
        switch (name, operation.handler) {
        case ("$expand", .instanceGet), ("$expand", .instanceList), ("$expand", .machineGet), ("$expand", .machineList):
            allowed = ["instanceView"]
        case ("$expand", _): allowed = [""]
        case ("forcedeletion", _), ("statusonly", _): allowed = ["true", "false"]
        case ("$select", _): allowed = ["instanceView"]
        default: return
        }
        guard allowed.contains(where: { $0.lowercased() == value.lowercased() }) else {
            throw ARMFault(
                400, "InvalidParameter",
                "Value '\(value)' of query parameter '\(name)' is not served; allowed: "
                    + allowed.map { "'\($0)'" }.joined(separator: ", ") + ".", target: name)
        }
    }

    private func checkVersion(_ given: String?) throws(ARMFault) {
        let wanted = operation.apiVersion
        guard let version = given, !version.isEmpty else {
            throw ARMFault(
                400, "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.", isGateway: true)
        }
        let shape = version.prefix(10).map { $0.isNumber ? "9" : $0 }
        guard String(shape) == "9999-99-99" else {
            throw ARMFault(
                400, "InvalidApiVersionParameter",
                "The api-version '\(version)' is invalid. The supported versions are '\(wanted)'.", isGateway: true)
        }
        guard version == wanted else {
            throw ARMFault(
                400, "NoRegisteredProviderFound",
                "No registered resource provider found for location '\(location)' and API version '\(version)' for type "
                    + "'\(operation.path.replacing("/{}", with: ""))'. The supported api-versions are '\(wanted)'.",
                isGateway: true)
        }
    }
}
