import CLinuxShim
import FoundationEssentials
import Glibc

/// Starts the validator again for one case and watches it to its end.
struct ChildProcess {
    /// How the case's process ended.
    struct End {
        var outcome: Outcome
        var reason: String?
        var warnings: [String]
        var output: String
    }

    /// Bytes of the plugin's output that are kept for the report.
    private static let maximumOutput = 4_096
    /// The number of the result's descriptor in the child.
    private static let reportDescriptor: Int32 = 3

    private let process: pid_t
    private let messages: Int32
    private let output: Int32

    static func run(_ options: CheckOptions, _ checkCase: CheckCase) throws(CheckError) -> End {
        let child = try ChildProcess(options, checkCase)
        let limit = checkCase.timeLimit * Int(CheckLimits.patience)
        return child.watch(until: ContinuousClock.now + limit, limit: limit)
    }

    private init(_ options: CheckOptions, _ checkCase: CheckCase) throws(CheckError) {
        var messagePipe: [Int32] = [-1, -1]
        var outputPipe: [Int32] = [-1, -1]
        guard shim_pipe(&messagePipe) == 0, shim_pipe(&outputPipe) == 0 else {
            throw .usage("no pipe: \(String(cString: strerror(errno)))")
        }
        var arguments = [
            "egress-provider-check", options.plugin, "--seed", String(options.seed), "--run-case", checkCase.name,
            "--report-descriptor", String(Self.reportDescriptor),
        ]
        if let path = options.configPath { arguments += ["--config", path] }
        defer {
            close(messagePipe[1])
            close(outputPipe[1])
        }
        messages = messagePipe[0]
        output = outputPipe[0]
        process = try Self.spawn(arguments, messages: messagePipe[1], output: outputPipe[1])
        for descriptor in [messages, output] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
    }

    private static func spawn(_ arguments: [String], messages: Int32, output: Int32) throws(CheckError) -> pid_t {
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        // A crash is an answer here; nobody reads a backtrace.
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("SWIFT_BACKTRACE=enable=no")]
        for (name, value) in ProcessInfo.processInfo.environment where name != "SWIFT_BACKTRACE" {
            environment.append(strdup("\(name)=\(value)"))
        }
        environment.append(nil)
        defer { for pointer in pointers + environment { free(pointer) } }
        var process: pid_t = 0
        let code = shim_spawn_reporting("/proc/self/exe", &pointers, &environment, output, messages, &process)
        guard code == 0 else { throw .usage("cannot start a process: \(String(cString: strerror(code)))") }
        return process
    }

    /// Reads what the child says until it has ended or the time is up.
    private func watch(until end: ContinuousClock.Instant, limit: Duration) -> End {
        defer {
            // Whatever the plugin started and left in the group.
            kill(-process, SIGKILL)
            close(messages)
            close(output)
        }
        var said = Said()
        var status: Int32 = 0
        while true {
            var descriptors = [
                pollfd(fd: said.isOver ? -1 : messages, events: Int16(POLLIN), revents: 0),
                pollfd(fd: said.outputIsOver ? -1 : output, events: Int16(POLLIN), revents: 0),
            ]
            poll(&descriptors, 2, said.end == nil ? 10 : 1)
            said.isOver = said.isOver || Self.drain(messages) { said.take($0) }
            said.outputIsOver =
                said.outputIsOver || Self.drain(output) { said.keep($0, atMost: Self.maximumOutput) }
            if waitpid(process, &status, WNOHANG) == process { break }
            if ContinuousClock.now > end {
                kill(-process, SIGKILL)
                waitpid(process, &status, 0)
                return said.ended(
                    .failed, "had not ended after \(limit)" + (said.step.map { " while \($0)" } ?? ""))
            }
        }
        _ = Self.drain(messages) { said.take($0) }
        _ = Self.drain(output) { said.keep($0, atMost: Self.maximumOutput) }
        return said.ended(status: status)
    }

    /// - Returns: whether the writing end is closed.
    private static func drain(_ descriptor: Int32, _ body: (Data) -> Void) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0 { body(Data(buffer[..<count])) } else { return count == 0 }
        }
    }
}

/// What a child has said so far.
private struct Said {
    var end: CaseMessage?
    var step: String?
    var warnings: [String] = []
    var isOver = false
    var outputIsOver = false
    private var line = Data()
    private var output = Data()

    mutating func take(_ data: Data) {
        line.append(data)
        while let newline = line.firstIndex(of: UInt8(ascii: "\n")) {
            if let message = try? JSONDecoder().decode(CaseMessage.self, from: Data(line[..<newline])) {
                if let text = message.step { step = text }
                if let text = message.warning, warnings.count < 20 { warnings.append(text) }
                if message.outcome != nil { end = message }
            }
            line = Data(line[(newline + 1)...])
        }
    }

    mutating func keep(_ data: Data, atMost limit: Int) {
        output.append(data.prefix(max(0, limit - output.count)))
    }

    func ended(_ outcome: Outcome, _ reason: String?) -> ChildProcess.End {
        ChildProcess.End(
            outcome: outcome, reason: reason, warnings: warnings, output: String(decoding: output, as: UTF8.self))
    }

    /// The child has ended with `status` of waitpid(2).
    func ended(status: Int32) -> ChildProcess.End {
        if let end, let outcome = end.outcome { return ended(outcome, end.reason) }
        let place = step.map { " while \($0)" } ?? ""
        let signal = status & 0x7F
        if signal != 0 {
            let name = Self.signals[signal] ?? "signal \(signal)"
            return ended(.failed, "crashed with \(name)\(place)")
        }
        return ended(.failed, "ended the process with status \((status >> 8) & 0xFF)\(place)")
    }

    private static let signals: [Int32: String] = [
        SIGSEGV: "SIGSEGV", SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGILL: "SIGILL",
        SIGKILL: "SIGKILL", SIGPIPE: "SIGPIPE", SIGTERM: "SIGTERM", SIGTRAP: "SIGTRAP", SIGALRM: "SIGALRM",
        SIGSYS: "SIGSYS", SIGINT: "SIGINT",
    ]
}
