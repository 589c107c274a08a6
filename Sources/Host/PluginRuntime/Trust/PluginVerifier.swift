import Glibc
import Logging
import ProviderKit

/// A plugin file that the policy lets in, opened and not yet loaded.
public struct VerifiedPlugin: Sendable {
    /// The path as it was asked for.
    public let path: String
    /// nil: there is none, and the policy does not ask for one.
    public let manifest: PluginManifest?
    public let verdict: TrustVerdict
    /// What a person should know although the policy accepts it; each goes on from "plugin PATH ".
    public let warnings: [String]
    /// Where to load it from: without links.
    var resolvedPath: String { file.path }
    let file: OpenedFile

    /// Asks whether what was loaded is what was checked.
    ///
    /// A file that took the other's place before `dlopen` opened the path is told here, after its constructors ran:
    /// the caller must end the process. Only who may write the folders could do that, and ``OwnershipRules`` keeps them
    /// to root, the daemon's user and the owners that `host.yaml` names, who could change the daemon itself.
    ///
    /// - Parameter address: of the plugin's entry function.
    func requireLoaded(at address: UnsafeRawPointer) throws {
        guard try file.isMapped(at: address) else {
            throw HostError(
                .plugin,
                "plugin \(path): what was loaded is not the file that was checked: it was replaced meanwhile, its entry "
                    + "is another library's, or this process has an older file of that name; start again")
        }
        try file.requireUnchanged()
    }

    /// - Throws: ``HostError`` if the plugin says of itself something else than its manifest.
    func requireSame(as descriptor: ProviderDescriptor) throws {
        do {
            try manifest?.requireSame(as: descriptor)
        } catch let error as HostError {
            throw HostError(error.code, "plugin \(path): \(error.message)")
        }
    }
}

/// Which files a process may load; what a process of a plugin's own is told by the daemon.
struct LoadingRules: Sendable, Equatable, Codable {
    var policy: TrustPolicy
    /// Decides which kinds are of use; nil: all are.
    var role: Role?
}

/// Judges plugin files by a policy. Reads each file whole: to be used where blocking is allowed, which at a daemon's
/// start is before its roles run.
public struct PluginVerifier: Sendable {
    /// The largest shared object that is read, in bytes.
    public static let maximumPluginBytes = 512 << 20

    private let policy: TrustPolicy
    private let role: Role?
    private let rules: OwnershipRules

    /// - Parameters:
    ///   - role: decides which kinds are of use; nil: all are.
    ///   - user: whose files are trusted, besides root's.
    public init(policy: TrustPolicy, role: Role?, user: UInt32 = geteuid()) {
        self.policy = policy
        self.role = role
        rules = policy.ownership(user: user)
    }

    init(_ rules: LoadingRules) { self.init(policy: rules.policy, role: rules.role) }

    /// Judges a file without loading it.
    ///
    /// - Throws: ``HostError``, one line: the path, what is wrong, and the fix if it is a mode.
    public func verify(_ path: String) throws -> VerifiedPlugin {
        try verify(path, open(path))
    }

    func open(_ path: String) throws -> OpenedFile {
        try OpenedFile(
            path, rules, limit: Self.maximumPluginBytes, subject: "plugin \(path)", what: "file")
    }

    func verify(_ path: String, _ file: OpenedFile) throws -> VerifiedPlugin {
        let manifest = try manifest(of: file)
        do {
            if let manifest { try judge(manifest, file) }
            let (verdict, warnings) = try policy.judge(manifest, sha256: try digest(of: file, manifest))
            return VerifiedPlugin(path: path, manifest: manifest, verdict: verdict, warnings: warnings, file: file)
        } catch let error as HostError {
            let subject = "plugin \(path)"
            throw error.message.hasPrefix(subject) ? error : HostError(error.code, "\(subject): \(error.message)")
        }
    }

    /// Under `any` a file without manifest has nothing to be compared with.
    private func digest(of file: OpenedFile, _ manifest: PluginManifest?) throws -> String {
        manifest == nil ? "" : try file.sha256()
    }

    /// - Returns: nil if there is none.
    private func manifest(of file: OpenedFile) throws -> PluginManifest? {
        guard let path = PluginManifest.path(forPlugin: file.path) else { return nil }
        var status = stat()
        if lstat(path, &status) != 0, errno == ENOENT { return nil }
        let subject = "manifest \(path)"
        let manifest = try OpenedFile(
            path, rules, limit: PluginManifest.maximumBytes, subject: subject, what: "file")
        do {
            return try PluginManifest(parsing: manifest.content())
        } catch let error as HostError {
            throw error.message.hasPrefix(subject) ? error : HostError(error.code, "\(subject): \(error.message)")
        }
    }

    private func judge(_ manifest: PluginManifest, _ file: OpenedFile) throws {
        let name = file.path.split(separator: "/").last.map(String.init) ?? file.path
        guard manifest.file == name else {
            throw HostError(.plugin, "its manifest is that of \(manifest.file)")
        }
        guard manifest.abi.contains(.ofHost) else {
            throw HostError(
                .plugin,
                "its manifest says ABI versions \(manifest.abi.lowerBound) to \(manifest.abi.upperBound); "
                    + "this host speaks \(ABIVersion.ofHost)")
        }
        guard let role else { return }
        let kinds = role.requiredCapabilities.compactMap { contract in
            contract.identifier.split(separator: "/").first.flatMap { ProviderKind(rawValue: String($0)) }
        }
        guard kinds.contains(manifest.kind) else {
            throw HostError(
                .plugin,
                "is of the kind \(manifest.kind.rawValue); the role \(role.rawValue) uses "
                    + kinds.map(\.rawValue).joined(separator: ", "))
        }
    }
}

/// Loads the files of one plugin list, each file once: entries that name the same one, by whatever path, share an image.
struct PluginLoader {
    let rules: LoadingRules
    private let verifier: PluginVerifier
    private let logger: Logger
    private var images: [FileIdentity: PluginImage] = [:]

    init(_ rules: LoadingRules, logger: Logger) {
        self.rules = rules
        verifier = PluginVerifier(rules)
        self.logger = logger
    }

    init(policy: TrustPolicy, role: Role?, logger: Logger) {
        self.init(LoadingRules(policy: policy, role: role), logger: logger)
    }

    /// Judges a file that another process will load, or that ``load(_:)`` shall.
    ///
    /// - Throws: ``HostError`` for a file that the policy refuses.
    @discardableResult
    func verify(_ path: String) throws -> VerifiedPlugin {
        try verifier.verify(path)
    }

    /// - Throws: ``HostError`` for a file that the policy refuses or that is no plugin.
    mutating func load(_ path: String) throws -> PluginImage {
        let file = try verifier.open(path)
        if var image = images[file.identity] {
            image.path = path
            return image
        }
        return try load(try verifier.verify(path, file))
    }

    /// - Throws: ``HostError`` for a file that is no plugin.
    mutating func load(_ plugin: VerifiedPlugin) throws -> PluginImage {
        if var image = images[plugin.file.identity] {
            image.path = plugin.path
            return image
        }
        for warning in plugin.warnings { logger.warning("plugin \(plugin.path) \(warning)") }
        let image = try PluginImage(plugin)
        images[plugin.file.identity] = image
        return image
    }
}
