import FoundationEssentials
import JSONModel
import ProviderAPI
import ProviderKit

/// Holds the arguments of host services to `egress_host.h`.
enum HostArguments {
    struct HTTPRequest: Sendable {
        var method: String
        var url: String
        var headers: [HTTPField]
        var body: Data
        /// On the host's clock.
        var deadlineNanoseconds: Int64
    }

    struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    static func request(_ raw: UnsafePointer<egp_http_request>) -> Result<HTTPRequest, Problem> {
        guard raw.pointee.size >= UInt32(MemoryLayout<egp_http_request>.size) else {
            return .failure(Problem(description: "size is \(raw.pointee.size)"))
        }
        let value = raw.pointee
        guard value.flags == 0 else { return .failure(Problem(description: "flags are \(value.flags)")) }
        guard value.body.length <= UInt64(EGP_MAXIMUM_BYTES) else {
            return .failure(Problem(description: "a body of \(value.body.length) bytes"))
        }
        let url = value.url.text
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            return .failure(Problem(description: "the URL is not an absolute http or https one: \(url.prefix(200))"))
        }
        guard !value.method.text.isEmpty, let headers = try? BorderHeaders.decode(value.headers.copied) else {
            return .failure(Problem(description: "no method, or headers that are no list of pairs"))
        }
        return .success(
            HTTPRequest(
                method: value.method.text, url: url, headers: headers, body: value.body.copied,
                deadlineNanoseconds: value.deadline_ns))
    }

    /// nil if all is well.
    static func problem(of raw: UnsafePointer<egp_metric>) -> String? {
        guard raw.pointee.size >= UInt32(MemoryLayout<egp_metric>.size) else { return "size is \(raw.pointee.size)" }
        let metric = raw.pointee
        guard (Int32(EGP_METRIC_COUNTER)...Int32(EGP_METRIC_HISTOGRAM)).contains(metric.kind) else {
            return "the kind \(metric.kind) is unknown"
        }
        let name = metric.name.text
        guard name.wholeMatch(of: /[a-z][a-z0-9_]{0,63}/) != nil else {
            return "the name \"\(name.prefix(100))\" is not [a-z][a-z0-9_]* of at most 64 bytes"
        }
        guard metric.value.isFinite, metric.kind != Int32(EGP_METRIC_COUNTER) || metric.value >= 0 else {
            return "the value \(metric.value) of \(name) is not allowed"
        }
        let labels = metric.labels.copied
        guard !labels.isEmpty else { return nil }
        guard let members = (try? JSONValue(json: labels))?.members, members.count <= 8,
            members.values.allSatisfy({ $0.text != nil })
        else { return "the labels of \(name) are not a JSON object of at most 8 strings" }
        return nil
    }

    /// nil if all is well.
    static func problem(of raw: UnsafePointer<egp_event>, knownItems: Set<String>) -> String? {
        guard raw.pointee.size >= UInt32(MemoryLayout<egp_event>.size) else { return "size is \(raw.pointee.size)" }
        let event = raw.pointee
        guard event.severity == Int32(EGP_EVENT_NORMAL) || event.severity == Int32(EGP_EVENT_WARNING) else {
            return "the severity \(event.severity) is unknown"
        }
        guard isReason(event.reason.copied) else {
            return "the reason \"\(event.reason.text.prefix(150))\" is not one CamelCase word of 1 to 128 bytes"
        }
        guard knownItems.contains(event.item.text) else {
            return "the item \"\(event.item.text.prefix(100))\" was in no request"
        }
        return nil
    }

    /// Whether these bytes are one CamelCase word.
    static func isReason(_ bytes: Data) -> Bool {
        guard let text = String(validating: bytes, as: UTF8.self) else { return false }
        return text.wholeMatch(of: /[A-Z][A-Za-z0-9]{0,127}/) != nil
    }
}
