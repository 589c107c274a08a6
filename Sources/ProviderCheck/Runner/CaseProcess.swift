import CLinuxShim
import FoundationEssentials
import Glibc

/// The process of one case: the validator started by itself with the name of a case.
public enum CaseProcess {
    /// Runs the case and ends the process. The result goes to `descriptor` as a line of JSON.
    public static func run(_ options: CheckOptions, caseName: String, descriptor: Int32) -> Never {
        // The group is what the parent kills; orphans of the plugin come to us, where cases can see them.
        _ = shim_die_with_parent()
        _ = shim_adopt_orphans()
        var noCore = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(UInt32(RLIMIT_CORE.rawValue)), &noCore)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        let writer = CaseMessageWriter(descriptor: descriptor)
        writer.send(outcome(options, caseName, writer))
        // Not exit(3): threads of the plugin may still run, and its exit handlers are nobody's business here.
        _exit(0)
    }

    private static func outcome(_ options: CheckOptions, _ caseName: String, _ writer: CaseMessageWriter) -> CaseMessage
    {
        do {
            guard let checkCase = Catalogue.all.first(where: { $0.name == caseName }) else {
                throw CheckError.usage("\(caseName): no such case")
            }
            let settings = try options.settings()
            try checkCase.body(
                CaseContext(pluginPath: options.plugin, settings: settings, seed: options.seed, writer: writer))
            return CaseMessage(outcome: .passed)
        } catch CheckError.skipped(let reason) {
            return CaseMessage(outcome: .skipped, reason: reason)
        } catch {
            return CaseMessage(outcome: .failed, reason: String(describing: error))
        }
    }
}
