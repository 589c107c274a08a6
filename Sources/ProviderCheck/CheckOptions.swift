/// What a person asked the validator for.
public struct CheckOptions: Sendable {
    /// Absolute path of the plugin.
    public var plugin: String
    /// Path of the `--config` file.
    public var configPath: String?
    /// Of the generators of the fuzz cases.
    public var seed: UInt64
    /// Cases to run; empty: all.
    public var only: [String]
    public var skip: [String]

    public init(plugin: String, configPath: String?, seed: UInt64, only: [String] = [], skip: [String] = []) {
        self.plugin = plugin
        self.configPath = configPath
        self.seed = seed
        self.only = only
        self.skip = skip
    }

    /// - Throws: ``CheckError/usage(_:)``.
    public func settings() throws -> CheckSettings {
        try configPath.map { try CheckSettings(path: $0) } ?? CheckSettings()
    }

    /// - Throws: ``CheckError/usage(_:)`` for a name that is no case's.
    public func validate() throws {
        let known = Set(Catalogue.all.map(\.name))
        for name in only + skip where !known.contains(name) {
            throw CheckError.usage("\(name): no such case; --list shows them")
        }
        _ = try settings()
    }
}
