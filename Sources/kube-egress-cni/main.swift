import Glibc

// The CNI plugin of the egress gateway: it hands the container runtime's request to the node daemon and prints the
// answer. All knowledge is in the daemon; this process lives for one exchange.

func output(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
        if count > 0 { bytes = bytes.dropFirst(count) } else if errno != EINTR { exit(1) }
    }
}

/// Standard input, bounded.
func input() throws(CNIError) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = buffer.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress, $0.count) }
        if count == 0 { return bytes }
        if count < 0 {
            if errno == EINTR { continue }
            throw CNIError(.input, "standard input cannot be read", String(cString: strerror(errno)))
        }
        bytes += buffer[..<count]
        guard bytes.count <= Relay.maximumFrame else {
            throw CNIError(
                .configuration, "the network configuration is too long", "at most \(Relay.maximumFrame) bytes")
        }
    }
}

func parse(_ bytes: [UInt8]) throws(CNIError) -> (text: String, value: JSONValue) {
    guard let text = String(validating: bytes, as: UTF8.self) else {
        throw CNIError(.decoding, "the network configuration is not UTF-8", "a JSON object is allowed")
    }
    do {
        let value = try JSONReader.read(bytes)
        guard value.isObject else {
            throw JSONSyntaxError(reason: "a JSON object is allowed, nothing else", offset: 0)
        }
        return (text, value)
    } catch let error as JSONSyntaxError {
        throw CNIError(
            .decoding, "the network configuration is not a JSON object", "byte \(error.offset): \(error.reason)")
    } catch {
        throw CNIError(.decoding, "the network configuration is not a JSON object", "\(error)")
    }
}

func versions(_ bytes: [UInt8]) throws(CNIError) -> String {
    // Runtimes of before 0.4.0 ask with an empty standard input. A version we do not know is no error here: this
    // command is how the runtime finds out.
    let asked = bytes.isEmpty ? nil : try parse(bytes).value["cniVersion"]?.text
    let supported = Invocation.supportedVersions.map(quoted).joined(separator: ",")
    return "{\"cniVersion\":\(quoted(asked ?? "1.1.0")),\"supportedVersions\":[\(supported)]}\n"
}

/// - Parameter answerVersion: the version in error objects, once the configuration told it.
func perform(answerVersion: inout String) throws(CNIError) -> Int32 {
    let environment = Invocation.variableNames.compactMap { name in
        getenv(name).map { (name: name, value: String(cString: $0)) }
    }
    let command = try Invocation.command(of: environment)
    let bytes = try input()
    if command == .version {
        output(try versions(bytes))
        return 0
    }
    let (text, value) = try parse(bytes)
    answerVersion = try version(of: value)
    // A pod that Azure's kube-egress-gateway attached, before its executable was replaced by this one: the runtime kept
    // a configuration that names that system's TCP service, as HOST:PORT. Its link goes with the pod's namespace.
    if command.succeedsWithoutDaemon, let target = value["socketPath"]?.text, !target.hasPrefix("/") { return 0 }
    let invocation = try Invocation(
        command: command, environment: environment, text: text, configuration: value)
    let request = Array(invocation.request.utf8)
    guard request.count <= Relay.maximumFrame else {
        throw CNIError(.configuration, "the network configuration is too long", "at most \(Relay.maximumFrame) bytes")
    }
    do {
        let relay = Relay(socketPath: invocation.socketPath, patience: invocation.patience)
        let answer = try relay.exchange(request)
        output(answer.output)
        return answer.exitCode
    } catch {
        if command.succeedsWithoutDaemon { return 0 }
        let reason = (error as? Relay.Failure)?.reason ?? "\(error)"
        throw CNIError(
            .tryAgainLater, "the node daemon does not answer",
            "\(invocation.socketPath): \(reason); is the egress host of this node running?")
    }
}

var answerVersion = "1.1.0"
do {
    exit(try perform(answerVersion: &answerVersion))
} catch {
    output(error.object(version: answerVersion))
    exit(1)
}
