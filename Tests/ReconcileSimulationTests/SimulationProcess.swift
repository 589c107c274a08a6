import Foundation

/// `reconcile-sim` as a child.
enum SimulationProcess {
    struct Result {
        var status: Int32
        var output: String
        var lastLine: Substring { output.split(separator: "\n").last ?? "" }
    }

    private static let program = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "reconcile-sim")

    static func start(_ arguments: [String]) throws -> (Process, Pipe) {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        let pipe = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        return (process, pipe)
    }

    static func finish(_ running: (Process, Pipe)) throws -> Result {
        let data = try running.1.fileHandleForReading.readToEnd() ?? Data()
        running.0.waitUntilExit()
        return Result(status: running.0.terminationStatus, output: String(decoding: data, as: UTF8.self))
    }

    static func run(_ arguments: String...) throws -> Result { try finish(try start(arguments)) }
}
