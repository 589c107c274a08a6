/// What a client asked for in its Accept header: which form of the object, and in which language.
struct APIRepresentation: Sendable, Equatable {
    enum Form: Sendable, Equatable {
        case object
        case table
        case partialMetadata
    }

    enum Language: String, Sendable {
        case json = "application/json"
        case yaml = "application/yaml"
    }

    var form: Form
    var language: Language

    /// The first range of the header that can be served.
    ///
    /// - Throws: 406 if there is none.
    static func parse(accept: String) throws(APIStatusError) -> Self {
        if accept.isEmpty { return Self(form: .object, language: .json) }
        for range in accept.split(separator: ",") {
            var parameters = range.split(separator: ";").map(\.trimmed)
            let mediaType = parameters.removeFirst().lowercased()
            let known = ["application/*", "*/*"].contains(mediaType) ? .json : Language(rawValue: mediaType)
            guard let language = known else { continue }
            let values = Set(parameters)
            if values.contains("as=Table") {
                if values.contains("v=v1") { return Self(form: .table, language: language) }
                continue
            }
            if values.contains("as=PartialObjectMetadata") || values.contains("as=PartialObjectMetadataList") {
                return Self(form: .partialMetadata, language: language)
            }
            return Self(form: .object, language: language)
        }
        throw .notAcceptable()
    }
}

extension APICompleteAnswer {
    /// The answer in the language that the client asked for, where it is JSON so far; texts stay as they are.
    func encoded(for accept: String) throws -> Self {
        guard contentType == APIRepresentation.Language.json.rawValue,
            try APIRepresentation.parse(accept: accept).language == .yaml
        else { return self }
        var answer = self
        answer.body = Array(try APIValueParser.parse(body).yaml.utf8)
        answer.contentType = APIRepresentation.Language.yaml.rawValue
        return answer
    }
}
