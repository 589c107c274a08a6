/// Section `manager.drift` of `host.yaml`: how often the cloud is compared with what is desired.
public struct DriftSettings: Sendable, Equatable {
    /// Seconds from one comparison to the next; what nodes have is compared twice as often. A strip of all addresses by
    /// somebody else's roll-out is to be repaired within 45 s, of which the repair's writes take 15 and more.
    public var checkSeconds = 30
    /// Seconds from one search for what belongs to no configuration to the next; 0: never.
    public var pruneSeconds = 3600

    public init() {}

    static let checkRange = 5...3600
    static let pruneRange = 60...604_800

    /// Reads the section; what is wrong is reported, and the default stands in its place.
    static func read(_ section: SettingsReader?) -> DriftSettings {
        var settings = DriftSettings()
        guard let section else { return settings }
        section.allowOnly(["checkSeconds", "pruneSeconds"])
        settings.checkSeconds = section.integer("checkSeconds", in: checkRange) ?? settings.checkSeconds
        let seconds = section.integer("pruneSeconds", in: 0...pruneRange.upperBound) ?? settings.pruneSeconds
        if seconds == 0 || pruneRange.contains(seconds) {
            settings.pruneSeconds = seconds
        } else {
            section.report(
                "pruneSeconds",
                "is \(seconds); allowed are 0 (never) and \(pruneRange.lowerBound) to \(pruneRange.upperBound)")
        }
        return settings
    }
}
