/// OpenAPI documents, as far as kubectl needs them: OpenAPI v3 per group and version with the `fieldValidation`
/// parameter, by which kubectl 1.27 and later leave validation to the server, and the CRDs' schemas for
/// `kubectl explain`. Strategic merge patch is left out of the patch types on purpose: kubectl then uses the merge
/// keys it was built with, which are the ones served here.
enum APIOpenAPI {
    /// `/openapi/v3`: the documents there are. Clients cache each under its hash.
    static func index(_ registry: APIResourceRegistry) -> APIValue {
        var paths: [String: APIValue] = [:]
        for groupVersion in ["api/v1"] + registry.groups.map({ "apis/\($0.group)/\($0.version)" }) {
            guard let document = document(groupVersion: groupVersion, registry) else { continue }
            let hash = String(fingerprint(document.encoded()), radix: 16)
            paths[groupVersion] = ["serverRelativeURL": .string("/openapi/v3/\(groupVersion)?hash=\(hash)")]
        }
        return ["paths": .object(paths)]
    }

    /// FNV-1a, 64 bits.
    private static func fingerprint(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// The document of `api/v1` or `apis/GROUP/VERSION`; nil for one that is not served.
    static func document(groupVersion: String, _ registry: APIResourceRegistry) -> APIValue? {
        let parts = groupVersion.split(separator: "/").map(String.init)
        let (group, version) = parts.count == 3 ? (parts[1], parts[2]) : ("", parts.last ?? "")
        let served = registry.all.filter { $0.group == group && $0.version == version }
        guard !served.isEmpty else { return nil }
        var paths: [String: APIValue] = [:]
        var schemas: [String: APIValue] = [:]
        for resource in served {
            let scope = resource.isNamespaced ? "/namespaces/{namespace}" : ""
            let collection = "/\(groupVersion)\(scope)/\(resource.plural)"
            paths[collection] = [
                "get": operation("list", resource), "post": operation("post", resource, validates: true),
            ]
            paths["\(collection)/{name}"] = [
                "get": operation("get", resource), "put": operation("put", resource, validates: true),
                "patch": operation("patch", resource, validates: true), "delete": operation("delete", resource),
            ]
            schemas[schemaName(resource)] = schema(resource)
        }
        return [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": "v1.32.0-egress-lab"],
            "paths": .object(paths), "components": ["schemas": .object(schemas)],
        ]
    }

    private static func identity(_ resource: ResourceDescriptor) -> APIValue {
        [
            "group": .string(resource.group), "version": .string(resource.version), "kind": .string(resource.kind),
        ]
    }

    private static func schemaName(_ resource: ResourceDescriptor) -> String {
        let group = resource.group.isEmpty ? "io.k8s.api.core" : resource.group
        return "\(group).\(resource.version).\(resource.kind)"
    }

    private static func schema(_ resource: ResourceDescriptor) -> APIValue {
        var schema =
            resource.openAPISchema ?? [
                "type": "object",
                "properties": [
                    "apiVersion": ["type": "string"], "kind": ["type": "string"], "metadata": ["type": "object"],
                    "spec": ["type": "object"], "status": ["type": "object"],
                ],
            ]
        schema["x-kubernetes-group-version-kind"] = [identity(resource)]
        return schema
    }

    private static func operation(
        _ action: String, _ resource: ResourceDescriptor, validates: Bool = false
    ) -> APIValue {
        var parameters: [APIValue] = []
        if validates {
            parameters = ["dryRun", "fieldManager", "fieldValidation"].map { name in
                ["name": .string(name), "in": "query", "schema": ["type": "string", "uniqueItems": true]]
            }
        }
        return [
            "operationId": .string("\(action)\(resource.kind)"), "parameters": .array(parameters),
            "x-kubernetes-action": .string(action), "x-kubernetes-group-version-kind": identity(resource),
            "responses": [
                "200": [
                    "description": "OK",
                    "content": [
                        "application/json": [
                            "schema": ["$ref": .string("#/components/schemas/\(schemaName(resource))")]
                        ]
                    ],
                ]
            ],
        ]
    }

    /// `/openapi/v2` for clients older than OpenAPI v3 (kubectl up to 1.26): a gnostic `openapi.v2.Document` in
    /// protobuf without definitions. Such a client finds no type to validate by and sends objects as they are; the
    /// server validates them in any case.
    static let version2: APICompleteAnswer = {
        func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
            [number << 3 | 2, UInt8(content.count)] + content
        }
        let info = field(1, Array("Kubernetes".utf8)) + field(2, Array("v1.32.0".utf8))
        return APICompleteAnswer(
            contentType: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
            body: field(1, Array("2.0".utf8)) + field(2, info) + field(8, []))
    }()
}
