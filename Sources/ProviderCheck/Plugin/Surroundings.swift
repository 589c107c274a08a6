import CLinuxShim
import FoundationEssentials
import Glibc

/// What a plugin must not change of the process and of the thread that calls it.
struct Surroundings: Equatable {
    private var values: [String: String] = [:]

    static func read() -> Surroundings {
        var values: [String: String] = [:]
        var mask = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &mask)
        for signal in 1...Int32(31) {
            if sigismember(&mask, signal) == 1 { values["the mask of signal \(signal)"] = "blocked" }
            var action = sigaction()
            sigaction(signal, nil, &action)
            values["the handler of signal \(signal)"] = withUnsafeBytes(of: action.__sigaction_handler) {
                "\(Array($0))"
            }
        }
        values["the working directory"] = ProcessState.link("/proc/thread-self/cwd") ?? ""
        values["the root directory"] = ProcessState.link("/proc/thread-self/root") ?? ""
        // Reading it is setting it.
        let creationMask = umask(0o777)
        umask(creationMask)
        values["the umask"] = String(creationMask, radix: 8)
        values["the locale"] = setlocale(LC_ALL, nil).map { String(cString: $0) } ?? ""
        values["the rounding mode"] = String(fegetround())
        for name in ProcessState.list("/proc/thread-self/ns") {
            values["the namespace \(name)"] = ProcessState.link("/proc/thread-self/ns/\(name)") ?? ""
        }
        for (name, value) in ProcessInfo.processInfo.environment { values["the environment's \(name)"] = value }
        return Surroundings(values: values)
    }

    private init(values: [String: String]) { self.values = values }

    /// Names of what is not the same, sorted.
    func differences(to other: Surroundings) -> [String] {
        Set(values.keys).union(other.values.keys).filter { values[$0] != other.values[$0] }.sorted()
    }
}

/// A descriptor whose writes go to a file in memory.
final class CapturedDescriptor {
    private let number: Int32
    private let original: Int32
    private let file: Int32

    init(_ number: Int32) throws(CheckError) {
        self.number = number
        fflush(nil)
        original = dup(number)
        file = shim_memory_file("egress-provider-check")
        guard original >= 0, file >= 0, dup2(file, number) >= 0 else {
            throw .failed("the validator has no descriptors")
        }
    }

    /// Puts the descriptor back.
    ///
    /// - Returns: what was written.
    func restore() -> String {
        dup2(original, number)
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = pread(file, &buffer, buffer.count, 0)
        close(original)
        close(file)
        return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    }
}
