import LinuxNet
import ProviderKit
import Synchronization

/// What can carry packets on this machine, found out at the first use and kept.
final class TunnelForms: Sendable {
    /// How a new link is made.
    enum Choice: Sendable {
        case kernel
        case userspace(binary: String)
    }

    private let settings: WireGuardSettings
    private let choice = Mutex<Choice?>(nil)

    init(_ settings: WireGuardSettings) {
        self.settings = settings
    }

    /// Blocks shortly at the first call. A failure is not kept: a module may be loaded, a package installed.
    ///
    /// - Throws: `terminal` if what the settings ask for is not there.
    func choose() throws -> Choice {
        try choice.withLock { choice in
            if let choice { return choice }
            let found = try probe()
            choice = found
            return found
        }
    }

    private func probe() throws -> Choice {
        if settings.form != .userspace, try KernelWireGuard.isAvailable() { return .kernel }
        guard settings.form != .kernel else {
            throw ProviderError(
                .terminal, "config.form is \"kernel\", but this kernel has no WireGuard; load the module \"wireguard\""
            )
        }
        guard let binary = UserspaceProcess.locate(settings.userspaceBinary) else {
            let place = settings.userspaceBinary.map { "config.userspaceBinary \"\($0)\" is no executable file" }
            throw ProviderError(
                .terminal,
                "\(place ?? "wireguard-go is not installed, and this kernel has no WireGuard")"
                    + "; install the package wireguard-go or load the module \"wireguard\"")
        }
        return .userspace(binary: binary)
    }
}
