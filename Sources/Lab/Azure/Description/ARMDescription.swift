/// The type of a member of an ARM resource.
indirect enum ARMType: Sendable, Equatable {
    case string
    case integer
    case boolean
    /// Text of a closed list; compared without case, as ARM does.
    case enumeration([String])
    /// Another model of the same table.
    case object(String)
    /// A resource that is named: whatever else a request says of it, only its id is kept and answered.
    case reference(String)
    /// A model whose members this simulator neither checks nor acts on; it is stored and answered as it came.
    case opaque(String)
    case array(ARMType)
    /// An object of strings.
    case tags
}

/// One member of a model.
struct ARMMember: Sendable, Equatable {
    let name: String
    let type: ARMType
    /// The specification's word; what the service asks for beyond it is in the rules of the resource.
    let isRequired: Bool
    /// Filled in by the service; ignored in a request.
    let isReadOnly: Bool

    init(_ name: String, _ type: ARMType, required: Bool = false, readOnly: Bool = false) {
        self.name = name
        self.type = type
        isRequired = required
        isReadOnly = readOnly
    }
}

/// What this simulator knows of ARM resources: models by name. Two namespaces, because a few models share a name.
enum ARMDescription {
    /// The models of a resource provider.
    static func models(of provider: ARMProvider) -> [String: [ARMMember]] {
        switch provider {
        case .network: allNetwork
        case .compute: allCompute
        }
    }

    private static let allNetwork = network.merging(networkInterfaces) { first, _ in first }
    private static let allCompute = compute.merging(machines) { first, _ in first }
}

/// A resource provider and the API version it is served at.
enum ARMProvider: String, Sendable {
    case network = "Microsoft.Network"
    case compute = "Microsoft.Compute"

    var apiVersion: String {
        switch self {
        case .network: "2025-05-01"
        case .compute: "2025-04-01"
        }
    }

    /// Network interfaces seen through a scale set stay at an older version.
    static let scaleSetNetworkAPIVersion = "2018-10-01"
}
