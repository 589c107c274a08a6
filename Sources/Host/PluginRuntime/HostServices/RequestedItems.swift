import FoundationEssentials

/// The ids of items that were in requests lately: which objects a plugin may speak of.
///
/// Bounded without bookkeeping per use: two generations, of which the older goes when the younger is full, so at least
/// the last ``maximum`` different ids are known.
struct RequestedItems: Sendable {
    /// As many as one request may have.
    static let maximum = 10_000

    private var young: Set<String> = []
    private var old: Set<String> = []

    mutating func insert(_ ids: some Sequence<String>) {
        for id in ids {
            if young.count >= Self.maximum, !young.contains(id) {
                old = young
                young = []
            }
            young.insert(id)
        }
    }

    func contains(_ id: String) -> Bool { young.contains(id) || old.contains(id) }

    private struct Request: Decodable {
        struct Item: Decodable { var id: String? }
        var items: [Item]?
    }

    /// The ids in a request's JSON, as far as it is one.
    static func ids(in request: Data) -> [String] {
        (try? JSONDecoder().decode(Request.self, from: request))?.items?.compactMap(\.id) ?? []
    }
}
