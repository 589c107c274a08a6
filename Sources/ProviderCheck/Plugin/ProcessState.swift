import FoundationEssentials
import Glibc

/// What `/proc/self` shows of this process.
struct ProcessState {
    /// Descriptor to what it is open on; the one that reads the list is left out.
    var descriptors: [Int32: String] = [:]
    var threads = 0
    /// Process ids, with names.
    var children: [String] = []
    /// Resident, anonymous memory.
    var residentBytes = 0

    static func read() -> ProcessState {
        var state = ProcessState()
        for name in list("/proc/self/fd") {
            guard let number = Int32(name), let target = link("/proc/self/fd/\(name)") else { continue }
            if !target.hasSuffix("/fd") { state.descriptors[number] = target }
        }
        let threads = list("/proc/self/task")
        state.threads = threads.count
        for thread in threads {
            for process in text("/proc/self/task/\(thread)/children").split(separator: " ") {
                let name = text("/proc/\(process)/comm").split(separator: "\n").first ?? ""
                state.children.append("\(name) (\(process))")
            }
        }
        for line in text("/proc/self/status").split(separator: "\n") where line.hasPrefix("RssAnon:") {
            state.residentBytes = (line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0) * 1024
        }
        return state
    }

    /// After threads that are ending have ended.
    ///
    /// - Parameter before: the wait is over as soon as there are no more threads and children than then.
    static func settled(until before: ProcessState? = nil) -> ProcessState {
        for _ in 0..<(before == nil ? 1 : 50) {
            usleep(10_000)
            while waitpid(-1, nil, WNOHANG) > 0 {}
            let state = read()
            guard let before else { return state }
            if state.threads <= before.threads, state.children.count <= before.children.count { return state }
        }
        return read()
    }

    static func list(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    static func text(_ path: String) -> String {
        // Not read by Data(contentsOf:): files of /proc have no size.
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    static func link(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                characters.baseAddress.map { readlink(path, $0, characters.count) } ?? -1
            }
        }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
