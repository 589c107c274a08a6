/// One check of a plugin, run in a process of its own.
public struct CheckCase: Sendable {
    /// Kebab-case; never changes once released, because people put it into `--skip` and `--case`.
    public let name: String
    /// One sentence: what holds for a plugin that passes.
    public let summary: String
    /// Names of cases without whose success this one could only repeat their finding.
    public let buildsOn: [String]
    /// Names of cases whose failure this one could only repeat; that they were skipped is no hindrance.
    public let unlessFailed: [String]
    /// Whether the case needs items of the configuration file, which it makes and removes in the real world.
    public let needsItems: Bool
    /// After so long the process of the case is killed, and the case has failed.
    let timeLimit: Duration
    let body: @Sendable (CaseContext) throws -> Void

    init(
        _ name: String, _ summary: String, buildsOn: [String] = [], unlessFailed: [String] = [],
        needsItems: Bool = false,
        timeLimit: Duration = .seconds(30), body: @escaping @Sendable (CaseContext) throws -> Void
    ) {
        self.name = name
        self.summary = summary
        self.buildsOn = buildsOn
        self.unlessFailed = unlessFailed
        self.needsItems = needsItems
        self.timeLimit = timeLimit
        self.body = body
    }
}

/// How a case ended.
public enum Outcome: String, Codable, Sendable {
    case passed, failed, skipped
}

/// What is reported of one case.
public struct CaseReport: Codable, Sendable, Equatable {
    public var name: String
    public var outcome: Outcome
    /// Why it failed or was skipped; absent if it passed.
    public var reason: String?
    /// What is allowed, but better otherwise.
    public var warnings: [String]
    /// The first bytes that the plugin wrote to standard output and error; absent if it passed or wrote nothing.
    public var output: String?
    public var milliseconds: Int
    /// Numbers of docs/provider-abi.md that the case holds the plugin to.
    public var requirements: [String]
}
