import JSONModel

/// Texts and maps that many objects of a list have in common, each kept in memory once.
///
/// Two small tables whose places are given by a hash of the JSON text, so that what is new takes the place of what was
/// there: they never grow, and whatever they forget is only made anew. A list of pods' endpoints names few
/// configurations, and its labels and annotations are those of few workloads.
struct SharedValues {
    private static let textPlaces = 256
    private static let mapPlaces = 64
    /// Swift keeps shorter strings without an allocation.
    private static let inlineBytes = 15

    private var texts = [String](repeating: "", count: textPlaces)
    private var maps = [(json: [UInt8], map: [String: String])](repeating: ([], [:]), count: mapPlaces)

    /// The string of these bytes; nil if they are not UTF-8.
    mutating func string(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
        guard bytes.count > Self.inlineBytes else { return String(validating: bytes, as: UTF8.self) }
        let place = Self.hash(bytes) % Self.textPlaces
        if texts[place].utf8.count == bytes.count, texts[place].utf8.elementsEqual(bytes) { return texts[place] }
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        texts[place] = text
        return text
    }

    /// The map of this JSON text; nil if it is not in the plain form.
    mutating func map(_ json: UnsafeBufferPointer<UInt8>) -> [String: String]? {
        let place = Self.hash(json) % Self.mapPlaces
        if maps[place].json.elementsEqual(json) { return maps[place].map }
        var reader = PlainJSONReader(json)
        var map: [String: String] = [:]
        let isPlain = reader.object { (reader: inout PlainJSONReader, name: PlainJSONReader.Name) in
            guard let name = string(name.bytes), map[name] == nil, let value = reader.text().flatMap({ string($0) })
            else { return false }
            map[name] = value
            return true
        }
        guard isPlain, reader.isAtEnd else { return nil }
        maps[place] = (Array(json), map)
        return map
    }

    /// FNV-1a; whoever makes its values collide only loses the gain.
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        // The low bits of FNV are its weakest.
        return Int(truncatingIfNeeded: (hash ^ (hash >> 29)) & 0x7fff_ffff)
    }
}
