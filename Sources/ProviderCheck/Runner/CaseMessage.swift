import FoundationEssentials
import Glibc

/// One line of JSON from the process of a case to the one that started it. Exactly one member is set, but for
/// `reason`, which goes with `outcome`.
struct CaseMessage: Codable, Sendable {
    /// What is done next, so that a crash can be told from where it happened.
    var step: String?
    var warning: String?
    var outcome: Outcome?
    var reason: String?
}

/// The writing end, in the process of a case.
struct CaseMessageWriter: Sendable {
    let descriptor: Int32

    func send(_ message: CaseMessage) {
        guard var line = try? JSONEncoder().encode(message) else { return }
        line.append(UInt8(ascii: "\n"))
        line.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
            }
        }
    }
}
