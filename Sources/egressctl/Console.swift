import Foundation
import Glibc
import Lab

/// Output for people. Progress goes to standard error, so that standard output holds the result only.
enum Console {
    static func progress(_ text: String) {
        FileHandle.standardError.write(Data("  .. \(text)\n".utf8))
    }

    /// A line of the result, at once even if the output is a pipe.
    static func say(_ text: String) {
        FileHandle.standardOutput.write(Data("\(text)\n".utf8))
    }

    /// Columns padded to their widest cell; an empty row is an empty line.
    static func table(_ rows: [[String]]) -> String {
        var widths: [Int] = []
        for row in rows {
            for (index, cell) in row.enumerated() {
                if index == widths.count { widths.append(0) }
                widths[index] = max(widths[index], cell.count)
            }
        }
        return rows.map { row in
            row.enumerated()
                .map { index, cell in
                    index == row.count - 1
                        ? cell : cell + String(repeating: " ", count: widths[index] - cell.count + 2)
                }
                .joined()
        }
        .joined(separator: "\n")
    }
}

/// - Throws: `notPermitted` unless the process may make namespaces and links.
func requireRoot() throws {
    guard geteuid() == 0 else {
        throw LabError(
            code: .notPermitted, message: "this needs root",
            cause: "the lab makes network namespaces, links and packet filters", advice: "run it with sudo")
    }
}

/// - Throws: `notUp` unless the lab of that layout is ready.
func requireReady(_ layout: LabLayout) throws {
    guard let state = LabState.load(layout.stateFile), state.supervisor.isRunning, state.phase == .ready else {
        throw LabError(
            code: .notUp, message: "no lab is up in \(layout.stateDirectory)", advice: "start it with: egressctl lab up"
        )
    }
}
