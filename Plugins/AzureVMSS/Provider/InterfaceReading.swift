import AzureARM
import JSONModel

/// The ipConfigurations of one network interface, or of the model of one, as they were read. Each is found by its name
/// in one step: a check compares hundreds of configurations with every interface of their pool.
struct InterfaceReading: Sendable {
    /// Whose ipConfigurations they are, for people.
    let resource: String
    let view: InterfaceEditor.View
    /// Of the primary ipConfiguration; nil if there is none, or it has no subnet.
    let subnet: JSONValue?
    /// Name of the primary ipConfiguration.
    let primaryName: String
    /// Whether the primary ipConfiguration is in the backend pool.
    let isInBackendPool: Bool
    /// By lower-case name; of several with one name the first.
    private let children: [String: JSONValue]

    init(_ children: [JSONValue], of resource: String, _ view: InterfaceEditor.View, backendPool: ResourceID) {
        self.resource = resource
        self.view = view
        let primary = InterfaceEditor.primary(children).map { children[$0] }
        subnet = primary?["properties.subnet.id"]
        primaryName = primary?["name"]?.text ?? ""
        isInBackendPool = (primary?[InterfaceEditor.pools]?.elements ?? [])
            .contains { $0["id"]?.text.flatMap(ResourceID.init) == backendPool }
        let named = children.compactMap { child in child["name"]?.text.map { ($0.lowercased(), child) } }
        self.children = Dictionary(named) { first, _ in first }
    }

    subscript(name: String) -> JSONValue? { children[name.lowercased()] }
}

/// Everything of a pool that carries addresses, for comparing all its items.
struct PoolReading: Sendable {
    let editor: InterfaceEditor
    let pool: GatewayPool
    /// What a scale set's new instances get; nil for machines.
    private let model: InterfaceReading?
    /// The instances' own models, if they were read.
    private let instanceModels: [InterfaceReading]
    /// As they are in effect.
    let nodes: [(name: String, reading: InterfaceReading)]

    init(_ survey: PoolSurvey, _ editor: InterfaceEditor) {
        self.editor = editor
        pool = survey.pool
        func reading(_ children: [JSONValue], _ resource: String, _ view: InterfaceEditor.View) -> InterfaceReading {
            InterfaceReading(children, of: resource, view, backendPool: editor.backendPool)
        }
        guard case .scaleSet(let set) = survey.pool else {
            (model, instanceModels) = (nil, [])
            nodes = survey.nodes.map { ($0.name, reading($0.configurations, $0.resource, .stored)) }
            return
        }
        model = reading(survey.model, "virtualMachineScaleSets/\(set.id.name) (model)", .stored)
        instanceModels = survey.instanceModels.map { reading($0.configurations, $0.resource, .stored) }
        nodes = survey.nodes.map { ($0.name, reading($0.configurations, $0.resource, .effective)) }
    }

    /// In the order in which differences are told.
    var ofScaleSet: [InterfaceReading] { (model.map { [$0] } ?? []) + instanceModels + nodes.map(\.reading) }
}
