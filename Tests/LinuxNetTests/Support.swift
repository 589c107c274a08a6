import Glibc
import LinuxNet
import Testing

/// Whether kernel state may be changed here.
let isRoot = geteuid() == 0
let needsRoot: Comment = "makes network namespaces: needs root"

/// A namespace of one test's own, gone when the test ends.
final class TestNamespace: Sendable {
    let namespace: NetworkNamespace
    let routes: RouteSocket
    var name: String { String(namespace.path.dropFirst(NetworkNamespace.directory.count + 1)) }

    init(_ name: String) async throws {
        namespace = try NetworkNamespace(name: "kegwt-ln-\(name)-\(getpid())")
        try namespace.create()
        routes = try await RouteSocket.open(in: namespace)
        try routes.setUp(true, index: 1)
    }

    deinit {
        _ = try? namespace.delete()
    }

    /// What iproute2 or another tool prints, run inside the namespace.
    func shell(_ command: String) throws -> String {
        try run("ip netns exec \(name) \(command)")
    }
}

/// The output of a shell command; tools of other makers are the tests' second opinion.
func run(_ command: String) throws -> String {
    guard let pipe = popen("\(command) 2>&1", "r") else { throw ShellFailure(command: command, output: "", status: -1) }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&buffer, 1, buffer.count, pipe)
        if count == 0 { break }
        output += buffer[..<count]
    }
    let status = pclose(pipe)
    let text = String(decoding: output, as: UTF8.self)
    guard status == 0 else { throw ShellFailure(command: command, output: text, status: status) }
    return text
}

struct ShellFailure: Error {
    let command: String
    let output: String
    let status: Int32
}
