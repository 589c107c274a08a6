/// The discovery documents: which groups, versions and kinds there are.
enum APIDiscovery {
    /// The Kubernetes version whose behaviour is followed. The build metadata says what this really is, and that
    /// requests are not authenticated.
    static let version: APIValue = [
        "major": "1", "minor": "32", "gitVersion": "v1.32.0-egress-lab", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none: embedded API server in Swift, no authentication",
        "compiler": "swift", "platform": "linux",
    ]

    /// What the root lists, and what a path that nobody serves is answered with.
    static func paths(_ registry: APIResourceRegistry) -> APIValue {
        let groups = registry.groups.flatMap { ["/apis/\($0.group)", "/apis/\($0.group)/\($0.version)"] }
        let fixed = [
            "/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version",
        ]
        return ["paths": APIValue((fixed + groups).sorted())]
    }

    static let coreVersions: APIValue = [
        "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
    ]

    static func groupList(_ registry: APIResourceRegistry) -> APIValue {
        [
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": .array(registry.groups.map { groupMembers($0.group, $0.version) }),
        ]
    }

    static func group(_ name: String, _ registry: APIResourceRegistry) -> APIValue? {
        guard let found = registry.groups.first(where: { $0.group == name }) else { return nil }
        var value = groupMembers(found.group, found.version)
        value["kind"] = "APIGroup"
        value["apiVersion"] = "v1"
        return value
    }

    private static func groupMembers(_ group: String, _ version: String) -> APIValue {
        let entry: APIValue = ["groupVersion": .string("\(group)/\(version)"), "version": .string(version)]
        return ["name": .string(group), "versions": [entry], "preferredVersion": entry]
    }

    static func resources(group: String, version: String, _ registry: APIResourceRegistry) -> APIValue? {
        let served = registry.all.filter { $0.group == group && $0.version == version }
        guard let first = served.first else { return nil }
        return [
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": .string(first.apiVersion),
            "resources": .array(served.flatMap(entries)),
        ]
    }

    private static func entries(_ resource: ResourceDescriptor) -> [APIValue] {
        var main: APIValue = [
            "name": .string(resource.plural), "singularName": .string(resource.singular),
            "namespaced": .bool(resource.isNamespaced), "kind": .string(resource.kind),
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        ]
        if !resource.shortNames.isEmpty { main["shortNames"] = APIValue(resource.shortNames) }
        if !resource.categories.isEmpty { main["categories"] = APIValue(resource.categories) }
        let subresources = resource.subresources.map { name -> APIValue in
            [
                "name": .string("\(resource.plural)/\(name)"), "singularName": "",
                "namespaced": .bool(resource.isNamespaced),
                "kind": .string(name == "binding" ? "Binding" : resource.kind),
                "verbs": name == "binding" ? ["create"] : ["get", "patch", "update"],
            ]
        }
        return [main] + subresources
    }
}
