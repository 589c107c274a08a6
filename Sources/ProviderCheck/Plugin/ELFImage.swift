import FoundationEssentials

/// What the dynamic linker would read of a 64-bit little-endian ELF file. (System V gABI, chapters 4 and 5.)
struct ELFImage {
    struct Symbol: Equatable {
        var name: String
        /// Whether the file itself has it; else it asks others for it.
        var isDefined: Bool
        /// STB_GLOBAL, STB_WEAK or STB_GNU_UNIQUE with default or protected visibility.
        var isExported: Bool
    }

    /// Names of DT_NEEDED.
    private(set) var needed: [String] = []
    private(set) var symbols: [Symbol] = []
    private let bytes: [UInt8]

    private static let sectionDynamicSymbols: UInt32 = 11  // SHT_DYNSYM
    private static let sectionDynamic: UInt32 = 6  // SHT_DYNAMIC
    private static let tagNeeded: UInt64 = 1  // DT_NEEDED

    init(path: String) throws {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw CheckError.failed("cannot be read")
        }
        try self.init(bytes: [UInt8](data))
    }

    init(bytes: [UInt8]) throws {
        self.bytes = bytes
        guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]) else {
            throw CheckError.failed("is no 64-bit little-endian ELF file")
        }
        let table = try number(40, 8)
        let entryBytes = try number(58, 2)
        let count = try number(60, 2)
        let sections = try (0..<count).map { try section(at: table + $0 * entryBytes) }
        for section in sections where section.type == Self.sectionDynamicSymbols {
            try readSymbols(section, names: Self.linked(section, sections))
        }
        for section in sections where section.type == Self.sectionDynamic {
            try readNeeded(section, names: Self.linked(section, sections))
        }
        guard !symbols.isEmpty else { throw CheckError.failed("has no dynamic symbols") }
    }

    private struct Section {
        var type: UInt32
        var offset: Int
        var size: Int
        var link: Int
    }

    private func section(at offset: Int) throws -> Section {
        Section(
            type: UInt32(try number(offset + 4, 4)), offset: try number(offset + 24, 8),
            size: try number(offset + 32, 8), link: try number(offset + 40, 4))
    }

    /// The string table that a section names.
    private static func linked(_ section: Section, _ sections: [Section]) throws -> Section {
        guard sections.indices.contains(section.link) else { throw CheckError.failed("is a damaged ELF file") }
        return sections[section.link]
    }

    private mutating func readSymbols(_ section: Section, names: Section) throws {
        for offset in stride(from: section.offset, to: section.offset + section.size, by: 24) {
            let binding = try number(offset + 4, 1) >> 4
            let visibility = try number(offset + 5, 1) & 3
            let name = try text(names.offset + (try number(offset, 4)))
            guard !name.isEmpty else { continue }
            symbols.append(
                Symbol(
                    name: name, isDefined: try number(offset + 6, 2) != 0,
                    isExported: [1, 2, 10].contains(binding) && [0, 3].contains(visibility)))
        }
    }

    private mutating func readNeeded(_ section: Section, names: Section) throws {
        for offset in stride(from: section.offset, to: section.offset + section.size, by: 16)
        where UInt64(try number(offset, 8)) == Self.tagNeeded {
            needed.append(try text(names.offset + (try number(offset + 8, 8))))
        }
    }

    private func number(_ offset: Int, _ count: Int) throws -> Int {
        guard offset >= 0, offset <= bytes.count - count else { throw CheckError.failed("is a cut ELF file") }
        let value = bytes[offset..<(offset + count)].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Int(truncatingIfNeeded: value)
    }

    private func text(_ offset: Int) throws -> String {
        guard bytes.indices.contains(offset), let end = bytes[offset...].firstIndex(of: 0) else {
            throw CheckError.failed("is a cut ELF file")
        }
        return String(decoding: bytes[offset..<end], as: UTF8.self)
    }
}
