#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// What the process lends to the client beyond the host's services; tests bring their own.
public struct Surroundings: Sendable {
    /// Environment variables.
    public var environment: [String: String]
    /// The wall clock: the ends of certificates and of client assertions are told in it.
    public var wallClock: @Sendable () -> Date
    /// A number in 0..<1, for jitter.
    public var random: @Sendable () -> Double

    public init(
        environment: [String: String], wallClock: @escaping @Sendable () -> Date = { Date() },
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.environment = environment
        self.wallClock = wallClock
        self.random = random
    }

    /// This process's own.
    public static var process: Self { Self(environment: ProcessInfo.processInfo.environment) }
}

/// Reads a file of at most `limit` bytes.
///
/// - Throws: text that says why not, without the path.
func readSmallFile(_ path: String, limit: Int = 1 << 20) throws(FileProblem) -> Data {
    let data: Data
    do {
        data = try Data(contentsOf: URL(filePath: path))
    } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
        throw FileProblem(text: "there is no such file")
    } catch let error as CocoaError where error.code == .fileReadNoPermission {
        throw FileProblem(text: "permission denied")
    } catch {
        throw FileProblem(text: "cannot be read: \(error)")
    }
    guard data.count <= limit else { throw FileProblem(text: "has \(data.count) bytes; at most \(limit) are allowed") }
    return data
}

/// Why a file could not be used.
struct FileProblem: Error, CustomStringConvertible {
    var text: String
    var description: String { text }
}
