import CMnl

/// What makes a VXLAN link the one it is; fixed for the link's life.
public struct VXLANParameters: Sendable, Hashable {
    /// The link kind's name in rtnetlink.
    public static let linkKind = "vxlan"
    /// Network identifiers have 24 bits (RFC 7348, section 5).
    public static let identifiers: ClosedRange<UInt32> = 0...0xff_ffff

    public var identifier: UInt32
    /// UDP port the link listens on; also the port of hosts whose forwarding entry names none.
    public var port: UInt16
    /// UDP source port of everything the link sends; nil lets the kernel choose by flow from a range. 1...65534: the
    /// kernel wants a range whose end is not in it.
    public var sourcePort: UInt16?
    /// Source address of everything the link sends; nil lets routing choose.
    public var source: IPAddress?

    public init(identifier: UInt32, port: UInt16, sourcePort: UInt16? = nil, source: IPAddress? = nil) {
        self.identifier = identifier
        self.port = port
        self.sourcePort = sourcePort
        self.source = source
    }

    /// Reads the kind's own data in a description of a link; nil without an identifier.
    init?(_ data: NetlinkAttributes) {
        guard let identifier = data[IFLA_VXLAN_ID]?.uint32, let port = data[IFLA_VXLAN_PORT]?.uint16 else { return nil }
        let range = data[IFLA_VXLAN_PORT_RANGE]?.value(as: ifla_vxlan_port_range.self)
        let first = range.map { UInt16(bigEndian: $0.low) } ?? 0
        let end = range.map { UInt16(bigEndian: $0.high) } ?? 0
        self.init(
            identifier: identifier, port: UInt16(bigEndian: port),
            sourcePort: first > 0 && Int(end) == Int(first) + 1 ? first : nil,
            source: (data[IFLA_VXLAN_LOCAL] ?? data[IFLA_VXLAN_LOCAL6])?.address)
    }
}

extension RouteSocket {
    /// Creates a VXLAN link that learns nothing by itself: all it knows is in its forwarding table. Its UDP socket lives
    /// in the socket's namespace for as long as the link is up, wherever the link is moved.
    ///
    /// - Parameters:
    ///   - family: Of all hosts of the link.
    ///   - mtu: Bytes.
    /// - Throws: `alreadyExists` if the name is taken, or port and identifier together; `unsupported` if the kernel has
    ///   no VXLAN. A port taken by another socket shows when the link is set up (EADDRINUSE).
    public func createVXLAN(
        name: String, _ parameters: VXLANParameters, family: IPAddress.Family, hardwareAddress: MACAddress, mtu: UInt32
    ) throws {
        guard VXLANParameters.identifiers.contains(parameters.identifier) else {
            throw LinuxNetError.invalid("VXLAN identifier", value: "\(parameters.identifier)", allowed: "0...16777215")
        }
        guard parameters.source.map({ $0.family == family }) ?? true else {
            throw LinuxNetError.invalid(
                "VXLAN source address", value: "\(parameters.source?.description ?? "")", allowed: "\(family)")
        }
        guard parameters.sourcePort.map({ (1...65_534).contains($0) }) ?? true else {
            throw LinuxNetError.invalid(
                "VXLAN source port", value: "\(parameters.sourcePort ?? 0)", allowed: "1...65534")
        }
        try create(name: name, kind: VXLANParameters.linkKind, mtu: mtu, hardwareAddress: hardwareAddress) { message in
            message.nest(IFLA_INFO_DATA) { data in
                data.append(IFLA_VXLAN_ID, value: parameters.identifier)
                data.append(IFLA_VXLAN_PORT, value: parameters.port.bigEndian)
                data.append(IFLA_VXLAN_LEARNING, value: UInt8(0))
                if let source = parameters.source {
                    data.append(family == .ipv4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, address: source)
                } else if family == .ipv6 {
                    // The unspecified group is how IPv6 is asked for without an address.
                    data.append(IFLA_VXLAN_GROUP6, address: .unspecified(.ipv6))
                }
                if let first = parameters.sourcePort {
                    let range = ifla_vxlan_port_range(low: first.bigEndian, high: (first + 1).bigEndian)
                    data.append(IFLA_VXLAN_PORT_RANGE, value: range)
                }
            }
        }
    }
}
