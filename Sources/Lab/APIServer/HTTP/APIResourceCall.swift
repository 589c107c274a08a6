/// One request on one kind: reads here, writes and watches in extensions.
struct APIResourceCall: Sendable {
    let service: APIService
    let request: APIRequest
    let resource: ResourceDescriptor
    let target: APIRequestTarget.Resource

    var namespace: String { target.namespace ?? "" }

    func key(_ name: String) -> APIObjectKey {
        APIObjectKey(kind: resource.storage, namespace: namespace, name: name)
    }

    /// Name of the object in the path; the router only calls where there is one.
    var name: String { target.name ?? "" }

    func get() throws -> APICompleteAnswer {
        guard let object = service.store.object(key(name)) else { throw APIStatusError.notFound(resource, name) }
        return try answer(with: object)
    }

    /// One object in the representation the client wants.
    func answer(with object: APIStoredObject, status: Int = 200, warnings: [String] = []) throws -> APICompleteAnswer {
        switch try APIRepresentation.parse(accept: request.accept).form {
        case .object:
            let body = try resource.view?.served(object) ?? object.body
            return APICompleteAnswer(status: status, body: body, warnings: warnings)
        case .partialMetadata:
            let value = APITablePrinter.partialMetadata(try object.decoded())
            return APICompleteAnswer(status: status, body: value.encoded(), warnings: warnings)
        case .table:
            let table = printer.table(
                of: [try object.decoded()], metadata: ["resourceVersion": .string(String(object.revision))])
            return APICompleteAnswer(status: status, body: table.encoded(), warnings: warnings)
        }
    }

    var printer: APITablePrinter {
        APITablePrinter(
            resource: resource,
            included: request.query["includeObject"].flatMap(APITablePrinter.IncludedObject.init) ?? .metadata,
            now: service.clock.now())
    }

    /// The selectors of the request.
    func selection() throws(APIStatusError) -> APISelection {
        let names = resource.view?.selectableFields
        var fields = try APIFieldSelector.parse(
            request.query["fieldSelector"] ?? "",
            supported: names.map { Set($0.keys) } ?? resource.behaviour.supportedFields)
        for index in fields.requirements.indices {
            let field = fields.requirements[index].field
            fields.requirements[index].field = names?[field] ?? field
        }
        return APISelection(
            namespace: target.namespace,
            labels: try APILabelSelector.parse(request.query["labelSelector"] ?? ""), fields: fields)
    }

    func list() throws -> APICompleteAnswer {
        let selection = try selection()
        let form = try APIRepresentation.parse(accept: request.accept).form
        let source = try listSource()
        // As in the real server, a limit below one is none.
        let limit = try request.query.number("limit").map { max(0, Int(clamping: $0)) } ?? 0
        var objects = source.objects[...]
        if let after = source.after { objects = objects.drop { $0.key.objectName <= after } }
        var page: [APIStoredObject] = []
        var rest = 0
        for object in objects where selection.matches(object) {
            if limit == 0 || page.count < limit { page.append(object) } else { rest += 1 }
        }
        var metadata: APIValue = ["resourceVersion": .string(String(source.revision))]
        if rest > 0, let last = page.last {
            let token = APIContinueToken(revision: source.revision, last: last.key.objectName)
            metadata["continue"] = .string(token.text)
            if selection.selectsAll { metadata["remainingItemCount"] = .integer(Int64(rest)) }
        }
        switch form {
        case .object: return APICompleteAnswer(body: try Self.encodeList(page, resource, metadata))
        case .table: return .value(printer.table(of: try page.map { try $0.decoded() }, metadata: metadata))
        case .partialMetadata:
            let items = try page.map { APITablePrinter.partialMetadata(try $0.decoded()) }
            return .value([
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "items": .array(items),
            ])
        }
    }

    /// The objects to list from, at which revision, and after which name to go on.
    private func listSource() throws -> (objects: [APIStoredObject], revision: Int64, after: APIObjectName?) {
        if let text = request.query["continue"] {
            guard let token = APIContinueToken(text) else {
                throw APIStatusError.badRequest("continue key is not valid: it must be one that this server gave")
            }
            return (try snapshot(at: token.revision), token.revision, token.last)
        }
        let current = service.store.list(resource.storage, namespace: target.namespace)
        guard let version = try request.query.count("resourceVersion"), version > 0 else {
            return (current.objects, current.revision, nil)
        }
        if version > current.revision {
            throw APIStatusError.tooLargeResourceVersion(version, current: current.revision)
        }
        if request.query["resourceVersionMatch"] == "Exact" { return (try snapshot(at: version), version, nil) }
        return (current.objects, current.revision, nil)
    }

    private func snapshot(at revision: Int64) throws -> [APIStoredObject] {
        guard
            let objects = service.store.list(resource.storage, namespace: target.namespace, at: revision)
        else {
            throw APIStatusError.expired(
                "The provided continue parameter is too old to display a consistent list result. You must start a "
                    + "new list without the continue parameter.")
        }
        return objects
    }

    /// The list as JSON, made of the stored bytes of its items.
    private static func encodeList(
        _ page: [APIStoredObject], _ resource: ResourceDescriptor, _ metadata: APIValue
    ) throws(APIStatusError) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(page.reduce(256) { $0 + $1.body.count + 1 })
        output += Array(
            #"{"kind":"\#(resource.listKind)","apiVersion":"\#(resource.apiVersion)","metadata":"#.utf8)
        metadata.encode(into: &output)
        output += Array(#","items":["#.utf8)
        for (index, object) in page.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            output += try resource.view?.served(object) ?? object.body
        }
        output += Array("]}".utf8)
        return output
    }
}

/// Which objects a list, watch or collection delete means.
struct APISelection: Sendable {
    /// Nil for all namespaces.
    var namespace: String?
    var labels: APILabelSelector
    var fields: APIFieldSelector

    var selectsAll: Bool { labels.isEmpty && fields.isEmpty }

    func matches(_ object: APIStoredObject) -> Bool {
        (namespace == nil || object.key.namespace == namespace) && labels.matches(object.labels)
            && fields.matches(object.fields)
    }
}

/// Where the next page of a list begins. Opaque to clients.
struct APIContinueToken: Sendable, Equatable {
    var revision: Int64
    var last: APIObjectName

    init(revision: Int64, last: APIObjectName) {
        self.revision = revision
        self.last = last
    }

    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let revision = Int64(parts[0]) else { return nil }
        self.init(revision: revision, last: APIObjectName(namespace: String(parts[1]), name: String(parts[2])))
    }

    /// Names hold no colon, so the parts need no escaping; the alphabet is safe in a query.
    var text: String { "\(revision):\(last.namespace):\(last.name)" }
}
