/// Where an object lives.
struct APIObjectKey: Hashable, Sendable {
    var kind: GroupResource
    /// Empty for cluster-scoped objects.
    var namespace: String
    var name: String

    var objectName: APIObjectName { APIObjectName(namespace: namespace, name: name) }
}

/// Namespace and name, ordered as the real server lists objects.
struct APIObjectName: Hashable, Comparable, Sendable {
    var namespace: String
    var name: String

    static func < (left: Self, right: Self) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

/// One version of an object: its JSON as it goes out, and what selection and collection need without decoding it.
struct APIStoredObject: Sendable {
    let key: APIObjectKey
    let uid: String
    let revision: Int64
    let labels: [String: String]
    /// Values for field selectors, metadata.name and metadata.namespace among them.
    let fields: [String: String]
    let owners: [Owner]
    let finalizers: [String]
    let isTerminating: Bool
    /// The complete object as compact JSON.
    let body: [UInt8]

    struct Owner: Hashable, Sendable {
        var uid: String
        var blocksDeletion: Bool
    }

    /// Takes what it needs from the object; `metadata.resourceVersion` must already be set to `revision`.
    init(key: APIObjectKey, value: APIValue, revision: Int64, extraFields: [String: String]) {
        let metadata = value["metadata"] ?? [:]
        self.key = key
        self.revision = revision
        uid = metadata["uid"]?.stringValue ?? ""
        labels = metadata["labels"]?.stringMap ?? [:]
        var fields = extraFields
        fields["metadata.name"] = key.name
        fields["metadata.namespace"] = key.namespace
        self.fields = fields
        owners = (metadata["ownerReferences"]?.arrayValue ?? []).compactMap { reference in
            guard let uid = reference["uid"]?.stringValue else { return nil }
            return Owner(uid: uid, blocksDeletion: reference["blockOwnerDeletion"]?.boolValue ?? false)
        }
        finalizers = (metadata["finalizers"]?.arrayValue ?? []).compactMap(\.stringValue)
        isTerminating = metadata["deletionTimestamp"]?.stringValue != nil
        body = value.encoded()
    }

    /// The object as a tree. Stored bodies come from this server's own encoder, so decoding them cannot fail short of
    /// a damaged database, which surfaces as a 500.
    func decoded() throws(APIStatusError) -> APIValue {
        do {
            return try APIValueParser.parse(body)
        } catch {
            throw .internalError(
                "the stored object \(key.namespace)/\(key.name) is damaged at byte \(error.offset): \(error.message)")
        }
    }
}

/// One committed change of one object.
struct APIStoreChange: Sendable {
    enum Kind: Sendable { case added, modified, deleted }

    var kind: Kind
    /// The object after the change; for a deletion its last state with the revision of the deletion.
    var object: APIStoredObject
    /// The object before the change; nil for an addition.
    var previous: APIStoredObject?

    var revision: Int64 { object.revision }
}
