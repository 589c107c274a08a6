@testable import Host

extension TrustPolicy {
    /// For plugins that a test compiles into a temporary folder, or that stand in the build's: neither has a manifest.
    static let testing = TrustPolicy(level: .any)
}
