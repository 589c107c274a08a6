import Foundation
import Glibc
import Host

/// Writes a package's folder: all of it or nothing.
struct PluginFolder {
    /// Absolute; becomes the package's folder. It may exist if it is empty.
    var path: String

    /// - Throws: ``HostError`` if something is there already, or cannot be written.
    func write(_ files: [(path: String, text: String)]) throws {
        let manager = FileManager.default
        var isFolder: ObjCBool = false
        if manager.fileExists(atPath: path, isDirectory: &isFolder) {
            let content = try? manager.contentsOfDirectory(atPath: path)
            guard isFolder.boolValue, content?.isEmpty == true else { throw occupied }
        }
        let target = URL(filePath: path)
        let parent = target.deletingLastPathComponent()
        // Beside the target, so that it can be renamed to it.
        let draft = parent.appending(path: ".\(target.lastPathComponent).\(UUID().uuidString)")
        do {
            for file in files {
                let url = draft.appending(path: file.path)
                try manager.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(file.text.utf8).write(to: url)
            }
            // Takes the place of an empty folder only, which the kernel checks once more.
            guard rename(draft.path, path) == 0 else {
                let problem = errno
                if problem == ENOTEMPTY || problem == EEXIST || problem == ENOTDIR { throw occupied }
                throw HostError(.configuration, "\(path): cannot be made: \(String(cString: strerror(problem)))")
            }
        } catch {
            try? manager.removeItem(at: draft)
            if error is HostError { throw error }
            throw HostError(.configuration, "\(path): cannot be written: \(error.localizedDescription)")
        }
    }

    private var occupied: HostError {
        HostError(.configuration, "\(path): exists and is not an empty folder; give another one with --output")
    }
}
