extension APIResourceCall {
    /// Server-side apply; its body is YAML, and so may be JSON.
    static let applyType = "application/apply-patch+yaml"
    /// Bytes (apimachinery/pkg/apis/meta/v1/validation: FieldManagerMaxLength).
    private static let maximumManagerLength = 128

    /// The manager that the request names, or the program that sends it.
    func fieldManager() throws(APIStatusError) -> String {
        guard let name = request.query["fieldManager"] else {
            let program = request.userAgent.prefix { $0 != "/" }.trimmed
            return program.isEmpty ? "unknown" : String(program.prefix(Self.maximumManagerLength))
        }
        let options = ["POST": "CreateOptions", "PUT": "UpdateOptions"][request.method] ?? "PatchOptions"
        if name.utf8.count > Self.maximumManagerLength {
            throw .invalidOptions(
                options,
                .init(
                    reason: "FieldValueTooLong",
                    message: "Too long: may not be more than \(Self.maximumManagerLength) bytes", field: "fieldManager"
                ))
        }
        if name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            throw .invalidOptions(
                options, .invalid("fieldManager", .string(name), "should only contain printable characters"))
        }
        return name
    }

    func apply() async throws -> APICompleteAnswer {
        guard resource.view == nil else {
            throw APIStatusError.unsupportedMediaType(
                "server-side apply is not offered for \(resource.qualifiedPlural), which are stored in another form")
        }
        let options = try writeOptions()
        guard request.query["fieldManager"] != nil else {
            throw APIStatusError.invalidOptions(
                "PatchOptions", .required("fieldManager", "is required for apply patch"))
        }
        let force = request.query.flag("force")
        let configuration: APIValue
        do {
            configuration = try APIValueParser.parse(yaml: request.body)
        } catch {
            throw APIStatusError.badRequest("error decoding YAML: \(error.message)")
        }
        let writer = writer(options)
        let uid = service.clock.makeUID()
        let (outcome, isNew) = try await service.store.transact(dryRun: options.dryRun) { [name, target] transaction in
            try writer.apply(
                configuration, to: name, subresource: target.subresource, force: force, uid: uid, in: &transaction)
        }
        return try answer(with: outcome.object, status: isNew ? 201 : 200, warnings: outcome.warnings)
    }
}
