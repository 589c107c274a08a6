extension APIResourceCall {
    private static let jsonTypes = ["application/json", "", "*/*"]

    /// The options that come with every write.
    struct WriteOptions {
        var dryRun: Bool
        var fieldValidation: APIObjectWriter.FieldValidation
        var fieldManager: String
    }

    func writeOptions() throws(APIStatusError) -> WriteOptions {
        if let value = request.query["dryRun"], value != "All" {
            throw .badRequest("the query parameter dryRun is \"\(value)\"; allowed: All")
        }
        var validation = APIObjectWriter.FieldValidation.warn
        if let text = request.query["fieldValidation"] {
            guard let value = APIObjectWriter.FieldValidation(rawValue: text) else {
                throw .badRequest(
                    "the query parameter fieldValidation is \"\(text)\"; allowed: Ignore, Warn, Strict")
            }
            validation = value
        }
        return WriteOptions(
            dryRun: request.query["dryRun"] != nil, fieldValidation: validation, fieldManager: try fieldManager())
    }

    func writer(_ options: WriteOptions) -> APIObjectWriter {
        APIObjectWriter(
            resource: service.registry[resource.storage] ?? resource, namespace: namespace, time: service.clock.text(),
            fieldValidation: options.fieldValidation, fieldManager: options.fieldManager)
    }

    var mediaType: String {
        (request.contentType.split(separator: ";").first?.trimmed ?? "").lowercased()
    }

    private func parseBody(strict: Bool) throws(APIStatusError) -> APIValue {
        do {
            let (value, duplicates) = try APIValueParser.parseReportingDuplicates(request.body)
            if strict, let duplicate = duplicates.first {
                throw APIStatusError.badRequest("strict decoding error: duplicate field \"\(duplicate)\"")
            }
            return value
        } catch let failure as APIValueParser.Failure {
            throw .badRequest("the body of the request is not JSON: \(failure.message) at byte \(failure.offset)")
        } catch let error as APIStatusError {
            throw error
        } catch {
            throw .internalError("\(error)")
        }
    }

    private func objectBody(_ options: WriteOptions) throws(APIStatusError) -> APIValue {
        if mediaType == APIProtobuf.mediaType {
            do {
                return try APIProtobuf.decode(request.body)
            } catch {
                throw .unsupportedMediaType("the protobuf body of the request is not understood: \(error.message)")
            }
        }
        guard Self.jsonTypes.contains(mediaType) else {
            throw .unsupportedMediaType(
                "the body of the request was in an unknown format - accepted media types include: application/json")
        }
        return try parseBody(strict: options.fieldValidation == .strict)
    }

    func create() async throws -> APICompleteAnswer {
        if resource.isNamespaced, target.namespace == nil { throw APIStatusError.methodNotAllowed("POST") }
        let options = try writeOptions()
        let body = try objectBody(options)
        let writer = writer(options)
        let uid = service.clock.makeUID()
        let suffix = service.clock.makeNameSuffix()
        let stored = try viewed(body, old: nil)
        let outcome = try await service.store.transact(dryRun: options.dryRun) { transaction in
            try writer.create(stored, uid: uid, nameSuffix: suffix, in: &transaction)
        }
        return try answer(with: outcome.object, status: 201, warnings: outcome.warnings + definitionWarnings(body))
    }

    /// Remarks about a CRD that is taken but not fully honoured.
    private func definitionWarnings(_ body: APIValue) -> [String] {
        guard resource.groupResource == APIResourceRegistry.definitions else { return [] }
        return CustomResourceDefinition.parse(body).warnings
    }

    func update() async throws -> APICompleteAnswer {
        let options = try writeOptions()
        let body = try objectBody(options)
        let writer = writer(options)
        let outcome = try await service.store.transact(dryRun: options.dryRun) { [self] transaction in
            let stored = try viewed(body, old: transaction.object(key(name)))
            return try writer.update(name, with: stored, subresource: target.subresource, in: &transaction)
        }
        return try answer(with: outcome.object, warnings: outcome.warnings)
    }

    func patch() async throws -> APICompleteAnswer {
        if mediaType == Self.applyType { return try await apply() }
        let options = try writeOptions()
        if request.query["force"] != nil {
            throw APIStatusError.invalidOptions(
                "PatchOptions", .forbidden("force", "may not be specified for non-apply patch"))
        }
        let apply = try patchFunction(strict: options.fieldValidation == .strict)
        let writer = writer(options)
        let outcome = try await service.store.transact(dryRun: options.dryRun) { [self] transaction in
            let old = transaction.object(key(name))
            return try writer.patch(name, subresource: target.subresource, in: &transaction) {
                stored throws(APIStatusError) in
                guard let view = resource.view else { return try apply(stored) }
                return try viewed(try apply(view.served(stored)), old: old)
            }
        }
        return try answer(with: outcome.object, warnings: outcome.warnings)
    }

    /// The object as it is stored, where this kind shows the objects of another one.
    private func viewed(_ object: APIValue, old: APIStoredObject?) throws(APIStatusError) -> APIValue {
        guard let view = resource.view else { return object }
        let (apiVersion, kind) = (object["apiVersion"]?.stringValue ?? "", object["kind"]?.stringValue ?? "")
        guard (apiVersion.isEmpty && kind.isEmpty) || (apiVersion == resource.apiVersion && kind == resource.kind)
        else {
            throw .badRequest(
                "the object provided is \(apiVersion) \(kind), expected \(resource.apiVersion) \(resource.kind)")
        }
        var before: APIValue?
        if let old { before = view.served(try old.decoded()) }
        let causes = view.validate(object, old: before)
        let name = object[path: "metadata", "name"]?.stringValue ?? ""
        guard causes.isEmpty else { throw .invalid(resource, name, causes) }
        var stored = view.stored(object)
        stored["kind"] = .string(resource.kind)
        return stored
    }

    private typealias PatchFunction = @Sendable (APIValue) throws(APIStatusError) -> APIValue

    private func patchFunction(strict: Bool) throws(APIStatusError) -> PatchFunction {
        let accepted = "application/merge-patch+json, application/json-patch+json, \(Self.applyType)"
        switch mediaType {
        case "application/merge-patch+json":
            let patch = try parseBody(strict: strict)
            return { object throws(APIStatusError) in JSONMergePatch.apply(patch, to: object) }
        case "application/json-patch+json":
            let patch = try parseBody(strict: strict)
            return { object throws(APIStatusError) in try JSONPatch.apply(patch, to: object) }
        case "application/strategic-merge-patch+json":
            guard let schema = resource.mergeSchema else {
                throw .unsupportedMediaType(
                    "the body of the request was in an unknown format - accepted media types include: \(accepted)")
            }
            let patch = try parseBody(strict: strict)
            return { object throws(APIStatusError) in
                try StrategicMergePatch.apply(patch, to: object, schema: schema)
            }
        default:
            throw .unsupportedMediaType(
                "the patch type \"\(mediaType)\" is not served; accepted media types include: \(accepted), "
                    + "application/strategic-merge-patch+json")
        }
    }

    /// The `binding` subresource: sets the node of a pod that has none.
    func bind() async throws -> APICompleteAnswer {
        let options = try writeOptions()
        let body = try objectBody(options)
        guard let node = body[path: "target", "name"]?.stringValue, !node.isEmpty else {
            throw APIStatusError.badRequest("a Binding needs target.name, the name of the node")
        }
        let writer = writer(options)
        let resource = resource
        _ = try await service.store.transact(dryRun: options.dryRun) { [name] transaction in
            try writer.patch(name, subresource: nil, in: &transaction) { object throws(APIStatusError) in
                if let bound = object[path: "spec", "nodeName"]?.stringValue, !bound.isEmpty {
                    throw .conflict(resource, name, "pod \(name) is already assigned to node \"\(bound)\"")
                }
                var object = object
                object[path: "spec", "nodeName"] = .string(node)
                return object
            }
        }
        return .value(success(), status: 201)
    }

    /// The kinds of core/v1 whose deletion is answered with the last state instead of a Status (ReturnDeletedObject in
    /// Kubernetes' registries).
    private static let answeringWithTheDeleted: Set<String> = [
        "namespaces", "persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "resourcequotas",
        "serviceaccounts", "services",
    ]

    func delete() async throws -> APICompleteAnswer {
        let options = try writeOptions()
        let remover = try remover()
        let key = key(name)
        let outcome = try await service.store.transact(dryRun: options.dryRun) { transaction in
            try remover.remove(key, in: &transaction)
        }
        switch outcome {
        case .terminating(let object): return try answer(with: object)
        case .removed(let object)
        where resource.group.isEmpty && Self.answeringWithTheDeleted.contains(resource.plural):
            return try answer(with: object)
        case .removed(let object):
            return .value(
                success(details: [
                    "name": .string(name), "group": .string(resource.group), "kind": .string(resource.plural),
                    "uid": .string(object.uid),
                ]))
        }
    }

    func deleteCollection() async throws -> APICompleteAnswer {
        let options = try writeOptions()
        let selection = try selection()
        let remover = try remover()
        let kind = resource.storage
        let removed = try await service.store.transact(dryRun: options.dryRun) { transaction in
            let selected = transaction.objects(of: kind, namespace: selection.namespace).filter(selection.matches)
            for object in selected { _ = try remover.remove(object.key, in: &transaction) }
            return selected
        }
        let items = try removed.map { object in
            let value = try object.decoded()
            return resource.view?.served(value) ?? value
        }
        return .value([
            "kind": .string(resource.listKind), "apiVersion": .string(resource.apiVersion),
            "metadata": ["resourceVersion": .string(String(service.store.revision))], "items": .array(items),
        ])
    }

    private func success(details: APIValue? = nil) -> APIValue {
        var status: APIValue = ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success"]
        status["details"] = details
        return status
    }

    /// DeleteOptions may come in the body, in the query, or both; the body wins.
    private func remover() throws(APIStatusError) -> APIObjectRemover {
        var options = APIObjectRemover.Options()
        let body = request.body.isEmpty ? [:] : try parseBody(strict: false)
        let graceInQuery = try request.query.count("gracePeriodSeconds")
        options.gracePeriodSeconds = body["gracePeriodSeconds"]?.integerValue ?? graceInQuery
        options.uid = body[path: "preconditions", "uid"]?.stringValue
        options.resourceVersion = body[path: "preconditions", "resourceVersion"]?.stringValue
        if let text = body["propagationPolicy"]?.stringValue ?? request.query["propagationPolicy"] {
            guard let propagation = APIObjectRemover.Options.Propagation(rawValue: text) else {
                throw .badRequest(
                    "propagationPolicy is \"\(text)\"; allowed: Background, Foreground, Orphan")
            }
            options.propagation = propagation
        } else if body["orphanDependents"]?.boolValue == true {
            options.propagation = .orphan
        }
        return APIObjectRemover(
            resource: resource, options: options, time: service.clock.text(), timeAfter: service.clock.textAfter,
            registry: service.registry)
    }
}
