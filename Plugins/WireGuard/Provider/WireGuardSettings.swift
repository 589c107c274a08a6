import LinuxNet
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The plugin's entry in `host.yaml`, validated. Every field may be absent.
struct WireGuardSettings: Sendable, Equatable {
    /// What carries the packets.
    enum Form: String, CaseIterable {
        /// The kernel where it offers WireGuard, else userspace.
        case auto, kernel, userspace
    }

    /// Least MTU of a tunnel link: IPv6, which the pods' next hop fe80::1 needs, refuses smaller ones (RFC 8200).
    static let mtuRange = 1280...65_455
    /// WireGuard itself notices a dead path after 15 s (its KEEPALIVE_TIMEOUT + REKEY_TIMEOUT): more is of no use.
    static let stallRange = 0...15
    /// What the kernel takes (uapi/linux/wireguard.h, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL is a u16).
    static let keepaliveRange = 0...65_535

    var form = Form.auto
    /// Absolute path of wireguard-go; nil looks in the usual directories.
    var userspaceBinary: String?
    /// Bytes; nil derives it from the uplink.
    var mtu: Int?
    /// Seconds between keepalives of pod ends; 0 sends none, as upstream does.
    var persistentKeepaliveSeconds = 0
    /// A pod end that sends but receives nothing for so many seconds shakes hands anew; 0 leaves it to WireGuard.
    var stallSeconds = 5

    init() {}

    /// - Throws: `invalid` that names the field, the value and what is allowed.
    init(json: Data) throws {
        let fields: Fields
        do {
            fields = try JSONDecoder().decode(Fields.self, from: json)
        } catch let error as DecodingError {
            throw ProviderError(.invalid, "config: \(error.oneLine)")
        }
        if let name = fields.unknown {
            throw ProviderError(
                .invalid, "config.\(name): no such field; allowed: \(Fields.Name.list)")
        }
        if let text = fields.form {
            guard let form = Form(rawValue: text) else {
                let allowed = Form.allCases.map(\.rawValue).joined(separator: ", ")
                throw ProviderError(.invalid, "config.form: \"\(text)\" is not allowed; allowed: \(allowed)")
            }
            self.form = form
        }
        if let path = fields.userspaceBinary {
            guard path.hasPrefix("/") else {
                throw ProviderError(
                    .invalid, "config.userspaceBinary: \"\(path)\" is not allowed; allowed: an absolute path")
            }
            userspaceBinary = path
        }
        mtu = try fields.mtu.map { try Self.check("mtu", $0, Self.mtuRange, "bytes") }
        if let seconds = fields.persistentKeepaliveSeconds {
            persistentKeepaliveSeconds = try Self.check(
                "persistentKeepaliveSeconds", seconds, Self.keepaliveRange, "seconds")
        }
        if let seconds = fields.stallSeconds {
            stallSeconds = try Self.check("stallSeconds", seconds, Self.stallRange, "seconds, 0 is off")
        }
    }

    private static func check(_ field: String, _ value: Int, _ range: ClosedRange<Int>, _ unit: String) throws -> Int {
        guard range.contains(value) else {
            throw ProviderError(
                .invalid,
                "config.\(field): \(value) is not allowed; allowed: \(range.lowerBound)...\(range.upperBound) \(unit)")
        }
        return value
    }

    /// The JSON as it came.
    private struct Fields: Decodable {
        enum Name: String, CaseIterable {
            case form, userspaceBinary, mtu, persistentKeepaliveSeconds, stallSeconds

            static var list: String { allCases.map(\.rawValue).joined(separator: ", ") }
        }

        /// A key that may be one we do not know.
        struct Key: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init(_ name: Name) { stringValue = name.rawValue }
            init?(intValue: Int) { nil }
        }

        var unknown: String?
        var form: String?
        var userspaceBinary: String?
        var mtu: Int?
        var persistentKeepaliveSeconds: Int?
        var stallSeconds: Int?

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            unknown = container.allKeys.map(\.stringValue).sorted().first { Name(rawValue: $0) == nil }
            form = try container.decodeIfPresent(String.self, forKey: Key(.form))
            userspaceBinary = try container.decodeIfPresent(String.self, forKey: Key(.userspaceBinary))
            mtu = try container.decodeIfPresent(Int.self, forKey: Key(.mtu))
            persistentKeepaliveSeconds = try container.decodeIfPresent(
                Int.self, forKey: Key(.persistentKeepaliveSeconds))
            stallSeconds = try container.decodeIfPresent(Int.self, forKey: Key(.stallSeconds))
        }
    }
}
