import Foundation
import JSONModel
import Lab

/// The generated schemas and recorded exchanges of Azure, which lie beside the repository on some machines. The project
/// builds and runs without them; tests that need them count as skipped elsewhere. `EGRESS_AZURE_REFERENCE` names the
/// folder where it is another one than `../shared/azure` from the checkout.
enum SharedAzure {
    static let folder =
        ProcessInfo.processInfo.environment["EGRESS_AZURE_REFERENCE"].map { URL(filePath: $0) }
        ?? URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "shared/azure")

    static var exists: Bool { FileManager.default.fileExists(atPath: folder.path()) }

    static func file(_ path: String) throws -> JSONValue {
        try JSONValue(json: Data(contentsOf: folder.appending(path: path)))
    }

    /// The exchanges of a recording, in order.
    static func exchanges(_ name: String) throws -> [Exchange] {
        try file("wire/\(name).json")["steps"]?.elements.map(Exchange.init) ?? []
    }

    struct Exchange {
        let method: String
        /// Path and query.
        let url: String
        let requestHeaders: [String: String]
        let requestBody: JSONValue?
        let status: Int
        /// Names in lower case.
        let headers: [String: String]
        let body: JSONValue?

        init(_ step: JSONValue) {
            method = step["request.method"]?.text ?? ""
            url = step["request.url"]?.text ?? ""
            requestHeaders = (step["request.headers"]?.members ?? [:]).compactMapValues(\.text)
            requestBody = step["request.body"].flatMap { $0 == .null ? nil : $0 }
            status = step["response.status"]?.int ?? 0
            let fields = (step["response.headers"]?.members ?? [:]).compactMap { name, value in
                value.text.map { (name.lowercased(), $0) }
            }
            headers = Dictionary(fields) { first, _ in first }
            body = step["response.body"].flatMap { $0 == .null ? nil : $0 }
        }
    }
}
