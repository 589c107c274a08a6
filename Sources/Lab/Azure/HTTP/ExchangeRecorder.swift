import Dispatch
import Foundation
import JSONModel
import Logging
import Synchronization

/// Writes exchanges as JSON lines, for people to review. Secrets are left out: tokens, client secrets, assertions.
///
/// Lines are written on a queue of its own, in the order in which the answers went out.
public final class ExchangeRecorder: Sendable {
    private let file: FileHandle
    private let queue = DispatchQueue(label: "azure-simulator-record")
    private let logger: Logger
    private let hasFailed = Mutex(false)

    /// - Throws: ``AzureSimulator/StartError`` if the file cannot be made; an old one is replaced.
    public init(path: String, logger: Logger) throws {
        self.logger = logger
        guard FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]),
            let file = FileHandle(forWritingAtPath: path)
        else {
            throw AzureSimulator.StartError(
                code: .configuration, message: "record: cannot write to \"\(path)\"")
        }
        self.file = file
    }

    /// Waits until everything recorded so far is in the file.
    public func flush() async {
        await withCheckedContinuation { continuation in queue.async { continuation.resume() } }
    }

    func record(_ exchange: Exchange) {
        guard let line = try? exchange.value.json() else { return }
        queue.async {
            do {
                try self.file.write(contentsOf: line + Data("\n".utf8))
            } catch {
                // Said once: a full disk would say it for every request.
                let isFirst = self.hasFailed.withLock { failed in
                    defer { failed = true }
                    return !failed
                }
                if isFirst { self.logger.error("cannot record exchanges", metadata: ["error": "\(error)"]) }
            }
        }
    }

    /// One request and its answer.
    struct Exchange: Sendable {
        let time: Date
        let duration: Duration
        let method: String
        /// Path and query.
        let url: String
        let requestHeaders: [String: String]
        let requestBody: Data
        let response: ARMResponse

        var value: JSONValue {
            var headers = requestHeaders
            if headers["authorization"] != nil { headers["authorization"] = "{withheld}" }
            let answered = Dictionary(response.headers.map { ($0.name, JSONValue.string($0.value)) }) { $1 }
            var body = response.body ?? .null
            if body["access_token"] != nil { body["access_token"] = "{withheld}" }
            return [
                "time": .string(time.formatted(.iso8601)), "milliseconds": .number((duration / .milliseconds(1))),
                "operation": .string(response.operation ?? "Unknown"),
                "request": [
                    "method": .string(method), "url": .string(url),
                    "headers": .object(headers.mapValues(JSONValue.string)), "body": requestValue,
                ],
                "response": [
                    "status": .integer(Int64(response.status)), "headers": .object(answered), "body": body,
                ],
            ]
        }

        /// JSON as it is; a form with its secret fields withheld; all else as text.
        private var requestValue: JSONValue {
            if requestBody.isEmpty { return .null }
            if var value = try? JSONValue(json: requestBody) {
                for path in Self.secretPaths where value[path] != nil { value[path] = "{withheld}" }
                return value
            }
            let text = String(decoding: requestBody, as: UTF8.self)
            guard requestHeaders["content-type"]?.contains("x-www-form-urlencoded") == true else {
                return .string(text)
            }
            var fields = AzureState.formFields(text)
            for name in ["client_secret", "client_assertion"] where fields[name] != nil {
                fields[name] = "{withheld}"
            }
            return .object(fields.mapValues(JSONValue.string))
        }

        private static let secretPaths = [
            "properties.osProfile.adminPassword", "properties.virtualMachineProfile.osProfile.adminPassword",
        ]
    }
}
