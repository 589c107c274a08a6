import FoundationEssentials
import JSONModel

/// A kind whose objects are read from JSON member by member, without `Codable`.
///
/// For kinds that are listed by the ten thousand, one object per pod: `JSONDecoder` takes several times as long, and
/// what it leaves in memory is scattered. There is one meaning and one set of errors: a reader that meets anything but
/// the plain form (an escape in a string, a repeated member, a value of another type) answers nil, and `JSONDecoder`
/// decides.
protocol PlainResource: KubernetesResource {
    /// nil if the text at the reader's place is not in the plain form; the reader is of no use then.
    init?(reading json: inout PlainJSONReader, _ shared: inout SharedValues)
}

/// Reads a member once; null leaves it as if it were absent, as `decodeIfPresent` does.
///
/// - Returns: false if the member was read before, or its value is not in the plain form.
func take<Value>(
    _ member: inout Value?, _ json: inout PlainJSONReader, _ read: (inout PlainJSONReader) -> Value?
) -> Bool {
    guard member == nil else { return false }
    if json.null() { return true }
    member = read(&json)
    return member != nil
}

extension PodEndpoint: PlainResource {
    init?(reading json: inout PlainJSONReader, _ shared: inout SharedValues) {
        var metadata: ObjectMeta?
        var spec: PodEndpointSpec?
        var status: PodEndpointStatus?
        let isPlain = json.object { json, name in
            if name == "metadata" {
                return take(&metadata, &json) { ObjectMeta(reading: &$0, &shared) }
            }
            if name == "spec" { return take(&spec, &json) { PodEndpointSpec(reading: &$0, &shared) } }
            if name == "status" {
                // Nobody writes more than an empty one.
                return take(&status, &json) { $0.object { _, _ in false } ? PodEndpointStatus() : nil }
            }
            return json.value() != nil
        }
        guard isPlain else { return nil }
        self.init(metadata: metadata ?? ObjectMeta(), spec: spec ?? PodEndpointSpec(), status: status)
    }
}

extension PodEndpointSpec {
    init?(reading json: inout PlainJSONReader, _ shared: inout SharedValues) {
        var configuration: String?
        var address: String?
        var publicKey: String?
        let isPlain = json.object { json, name in
            if name == "staticGatewayConfiguration" {
                return take(&configuration, &json) { $0.text().flatMap { shared.string($0) } }
            }
            if name == "podIpAddress" { return take(&address, &json) { $0.string() } }
            if name == "podPublicKey" { return take(&publicKey, &json) { $0.string() } }
            return json.value() != nil
        }
        guard isPlain else { return nil }
        self.init(
            staticGatewayConfiguration: configuration ?? "", podIpAddress: address ?? "",
            podPublicKey: publicKey ?? "")
    }
}
