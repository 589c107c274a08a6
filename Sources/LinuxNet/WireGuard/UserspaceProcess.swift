import CLinuxShim
import Glibc
import Synchronization

/// The wireguard-go processes of this machine: one per userspace device.
///
/// A process is started in a session of its own, so that it outlives this one; whoever comes next finds it by its
/// control socket. It ends by itself when its link is deleted, or the namespace that the link is in. All calls block;
/// they are for threads that may.
public enum UserspaceProcess {
    /// Where the binary is looked for if no path is given.
    private static let searchDirectories = [
        "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
    ]
    /// The TUN driver, without which no process can make its link.
    private static let tunDevice = "/dev/net/tun"
    /// How often a condition is looked at while waiting for it, in microseconds.
    private static let pollInterval: UInt32 = 2_000
    /// How long a process may take to open its control socket; on an idle machine it takes 25 ms.
    private static let startLimit = Duration.seconds(10)
    /// How long a process may take to end after its link went, and again after SIGTERM.
    private static let endLimit = Duration.seconds(3)

    /// Processes started by this one and not yet reaped. Global, because children belong to the process.
    private static let children = Mutex<Set<Int32>>([])

    /// Finds the binary.
    ///
    /// - Parameter path: Nil looks for "wireguard-go" in the usual directories.
    /// - Returns: Nil if there is no executable file.
    public static func locate(_ path: String? = nil) -> String? {
        let candidates = path.map { [$0] } ?? searchDirectories.map { "\($0)/wireguard-go" }
        return candidates.first { access($0, X_OK) == 0 }
    }

    /// Starts a process and waits for its control socket. Its link appears in the calling thread's namespace, which
    /// also stays the home of its UDP socket. A dead control socket in the way is removed.
    ///
    /// - Parameters:
    ///   - binary: Path of wireguard-go.
    ///   - device: Its link's name at creation must be free.
    /// - Throws: `alreadyExists` if a process has that control socket.
    public static func start(binary: String, for device: UserspaceWireGuard) throws {
        let name = device.creationName
        guard access(tunDevice, R_OK | W_OK) == 0 else {
            throw LinuxNetError.system("open \(tunDevice) for link \(name)", errorNumber: errno)
        }
        guard try device.processIdentifier() == nil else {
            throw LinuxNetError(
                code: .alreadyExists, message: "a process already listens on \(device.socketPath)",
                advice: "stop it first; its link is of no use any more")
        }
        unlink(device.socketPath)
        let child = try spawn(binary, name)
        children.withLock { _ = $0.insert(child) }
        do {
            try awaitSocket(device, child, binary)
        } catch {
            stop(device, process: child)
            throw error
        }
    }

    private static func awaitSocket(_ device: UserspaceWireGuard, _ child: Int32, _ binary: String) throws {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: startLimit)
        while clock.now < deadline {
            if try device.processIdentifier() != nil { return }
            if let status = reap(child) {
                throw LinuxNetError(
                    code: .refused, message: "\(binary) for link \(device.creationName) ended at once",
                    cause: describe(status), advice: "run it by hand: \(binary) -f \(device.creationName)")
            }
            usleep(pollInterval)
        }
        throw LinuxNetError(
            code: .timeout, message: "\(binary) did not open \(device.socketPath) within \(startLimit)",
            advice: "see whether the machine is overloaded, then try again")
    }

    /// Sees a device's process out, whose link has been deleted; ends it by force if it stays. Its control socket is
    /// gone afterwards. Nothing happens if there is none.
    ///
    /// - Parameter process: The process, if the caller knows it.
    public static func stop(_ device: UserspaceWireGuard, process: Int32? = nil) {
        let found = process ?? (try? device.processIdentifier()) ?? nil
        guard let process = found, process > 0 else {
            unlink(device.socketPath)
            return
        }
        for signal in [0, SIGTERM, SIGKILL] {
            guard isRunning(process, device) else { break }
            if signal != 0 { kill(process, signal) }
            waitForEnd(of: process, device)
        }
        _ = reap(process)
        unlink(device.socketPath)
    }

    private static func waitForEnd(of process: Int32, _ device: UserspaceWireGuard) {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: endLimit)
        while isRunning(process, device), clock.now < deadline { usleep(pollInterval) }
    }

    /// Whether the process is there and still the one of that device: numbers are used again.
    private static func isRunning(_ process: Int32, _ device: UserspaceWireGuard) -> Bool {
        if reap(process) != nil { return false }
        // An own child's number is its own until it is reaped; in its last moments it has no arguments any more.
        if children.withLock({ $0.contains(process) }) { return true }
        return arguments(of: process).contains(device.creationName)
    }

    /// The arguments of a running process; none for a zombie or no process.
    private static func arguments(of process: Int32) -> [String] {
        let descriptor = open("/proc/\(process)/cmdline", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &bytes, bytes.count)
        return bytes[..<max(count, 0)].split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Reaps every ended child that ``start(binary:for:)`` made. To be called now and then, so that a process that
    /// ended with its namespace does not stay a zombie.
    ///
    /// - Returns: What they died of, one line each.
    @discardableResult
    public static func reapEnded() -> [String] {
        children.withLock { Array($0) }.compactMap { child in
            reap(child).map { "process \(child) \(describe($0))" }
        }
    }

    /// The wait status of an own child that has ended, which is gone then; nil in every other case.
    private static func reap(_ process: Int32) -> Int32? {
        children.withLock { children in
            guard children.contains(process) else { return nil }
            var status: Int32 = 0
            let result = waitpid(process, &status, WNOHANG)
            guard result == process || (result < 0 && errno == ECHILD) else { return nil }
            children.remove(process)
            return status
        }
    }

    /// In words; the bits of a wait status are those of wait(2).
    private static func describe(_ status: Int32) -> String {
        status & 0x7f == 0 ? "exited with status \(status >> 8 & 0xff)" : "was ended by signal \(status & 0x7f)"
    }

    private static func spawn(_ binary: String, _ name: String) throws -> Int32 {
        // "-f": its own way into the background ends it where no terminal is. The first variable stops it from
        // refusing where it thinks the kernel could do the work.
        let arguments = [binary, "-f", name]
        let environment = ["WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1", "LOG_LEVEL=error"]
        var child: Int32 = 0
        let code = withCStrings(arguments) { arguments in
            withCStrings(environment) { shim_spawn_detached(binary, arguments, $0, &child) }
        }
        guard code == 0 else { throw LinuxNetError.system("start \(binary) for link \(name)", errorNumber: code) }
        return child
    }

    /// Lends a NULL-terminated list of C strings, as exec wants it.
    private static func withCStrings<R>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R
    ) -> R {
        let copies = strings.map { strdup($0) }
        defer { copies.forEach { free($0) } }
        return body(copies + [nil])
    }
}
