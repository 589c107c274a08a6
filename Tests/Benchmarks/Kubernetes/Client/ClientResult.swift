import FoundationEssentials
import Glibc

/// What one side did, as its process tells the driver; the peer in Go writes the same members.
struct ClientResult: Codable {
    /// Nanoseconds of CLOCK_MONOTONIC when the store was complete.
    var syncedAt: Int64 = 0
    var objects = 0
    /// Hexadecimal; of the store, or of the states that were reconciled in a burst.
    var checksum = ""
    /// Largest resident memory of the process, in KiB.
    var peakKiB = 0
    /// Resident memory some seconds after the last event, in KiB.
    var settledKiB = 0
    var reconcilesPerSecond = 0.0
    /// Burst: what the server says the checksum must be.
    var expectedChecksum = ""
    var runs = 0
    var keys = 0
    /// Seconds from the begin of a burst to the end of the run that reconciled a key's last state.
    var latencyP50 = 0.0
    var latencyP99 = 0.0
}

/// What a client does.
enum ClientJob: String {
    case cold
    case noOp = "no-op"
    case burst
}

/// What went wrong, for people.
struct BenchError: Error, CustomStringConvertible {
    var description: String
}

/// Nanoseconds of CLOCK_MONOTONIC, which is the same for all processes of the machine.
func monotonic() -> Int64 {
    var time = timespec()
    guard clock_gettime(CLOCK_MONOTONIC, &time) == 0 else { return 0 }
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// The whole file; for files of /proc, whose size is not known before.
func contents(of path: String) throws -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw BenchError(description: "cannot open \(path): errno \(errno)") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        guard count >= 0 else { throw BenchError(description: "cannot read \(path): errno \(errno)") }
        if count == 0 { return String(decoding: bytes, as: UTF8.self) }
        bytes += buffer[..<count]
    }
}

/// A line of /proc/PID/status, in KiB (proc(5)): `VmHWM` is the largest resident memory, `VmRSS` the present one.
func memory(_ line: String, of process: String = "self") throws -> Int {
    let lines = try contents(of: "/proc/\(process)/status").split(separator: "\n")
    let words = lines.first { $0.hasPrefix("\(line):") }?.split(whereSeparator: \.isWhitespace) ?? []
    guard words.count == 3, let value = Int(words[1]) else {
        throw BenchError(description: "/proc/\(process)/status has no \(line)")
    }
    return value
}
