import Foundation

/// Where the tests find the repository and the products of the build they belong to.
enum Repository {
    /// The folder that holds Package.swift.
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The folder of this test binary, where SwiftPM leaves executables and dynamic libraries, too.
    static let products = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()

    static let plugins = ["AzureLB", "AzureVMSS", "WireGuard", "VXLAN", "CNIChain"]

    static func plugin(_ name: String) -> URL { products.appending(path: "lib\(name).so") }

    /// All files below a folder with the given extension.
    static func files(below folder: URL, withExtension pathExtension: String) -> [URL] {
        let enumerator = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        return (enumerator?.allObjects ?? []).compactMap { $0 as? URL }.filter { $0.pathExtension == pathExtension }
    }
}

/// What a program printed and how it ended.
struct ProgramResult {
    var status: Int32
    var output: String
}

/// Runs a program of the PATH to its end; standard output and error together.
func run(_ program: String, _ arguments: [String]) throws -> ProgramResult {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return ProgramResult(status: process.terminationStatus, output: String(decoding: data, as: UTF8.self))
}
