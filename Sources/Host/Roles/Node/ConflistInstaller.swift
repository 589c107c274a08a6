import FoundationEssentials
import Glibc
import Logging
import NIOPosix

/// Keeps our conflist in the container runtime's configuration directory in step with the file it extends.
///
/// The file stays when the daemon stops: without it new annotated pods would start without their gateway. Before an
/// uninstallation it is taken away while the daemon still runs (``NodeSettings/uninstallFile``): pods start by the
/// cluster's own configuration from then on, and those that were attached are still detached properly.
struct ConflistInstaller: Sendable {
    enum Outcome: Sendable, Equatable {
        case unchanged
        case written(source: String)
        /// There is nothing to extend yet; the cluster's network plugin is still to come.
        case noSource
        /// An uninstallation is announced, and our file was there until now.
        case removed
    }

    let settings: NodeSettings
    let logger: Logger
    /// How often the directory is looked at. Reading three small files a second costs less than being wrong about
    /// which inotify events a network plugin's installer causes.
    var interval = Duration.seconds(1)

    /// Follows the directory until cancelled.
    func run() async {
        var lastReport: String?
        while !Task.isCancelled {
            let report: String
            do {
                switch try await NIOThreadPool.singleton.runIfActive({ try install() }) {
                case .unchanged:
                    report = ""
                case .written(let source):
                    report = ""
                    logger.notice(
                        "CNI configuration written",
                        metadata: ["file": .string(Conflist.fileName), "source": .string(source)])
                case .noSource: report = "no CNI configuration to extend"
                case .removed:
                    report = ""
                    logger.notice(
                        "CNI configuration taken away before an uninstallation",
                        metadata: ["file": .string(Conflist.fileName)])
                }
            } catch {
                report = String(describing: error)
            }
            // Said once per change, not once per second.
            if report != lastReport, !report.isEmpty {
                logger.warning(
                    "CNI configuration is not installed",
                    metadata: [
                        "directory": .string(settings.cniConfigurationDirectory), "reason": .string(report),
                    ])
            }
            lastReport = report
            try? await Task.sleep(for: interval)
        }
    }

    /// Looks once, writes if needed. Blocks on file IO.
    ///
    /// - Throws: ``HostError``, or Foundation's error for the directory or a file.
    func install() throws -> Outcome {
        let files = FileManager.default
        let directory = settings.cniConfigurationDirectory
        let path = "\(directory)/\(Conflist.fileName)"
        if isUninstallAnnounced() {
            guard files.fileExists(atPath: path) else { return .unchanged }
            try files.removeItem(atPath: path)
            return .removed
        }
        let names = try files.contentsOfDirectory(atPath: directory).filter { name in
            let attributes = try? files.attributesOfItem(atPath: "\(directory)/\(name)")
            return attributes?[.type] as? FileAttributeType == .typeRegular
        }
        guard let source = Conflist.source(among: names) else { return .noSource }
        let contents = try Data(contentsOf: URL(filePath: "\(directory)/\(source)"))
        let wanted = try Conflist.extending(source, contents, with: settings)
        if (try? Data(contentsOf: URL(filePath: path))) == wanted { return .unchanged }
        // The runtime reads the directory at any moment: it sees the old file or the new one, whole.
        let temporary = path + ".tmp"
        try wanted.write(to: URL(filePath: temporary))
        try files.setAttributes([.posixPermissions: 0o644], ofItemAtPath: temporary)
        guard rename(temporary, path) == 0 else {
            throw HostError(.unavailable, "\(path): cannot be replaced: \(String(cString: strerror(errno)))")
        }
        return .written(source: source)
    }

    /// A file that is not there, or cannot be read, announces nothing.
    private func isUninstallAnnounced() -> Bool {
        guard let file = settings.uninstallFile, let content = try? Data(contentsOf: URL(filePath: file)) else {
            return false
        }
        let text = String(decoding: content.prefix(16), as: UTF8.self)
        return text.split(whereSeparator: \.isWhitespace).first == "true"
    }
}
