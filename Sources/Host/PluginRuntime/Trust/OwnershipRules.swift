import Glibc

/// Who may own, and who may write, what the host maps into itself.
///
/// Whoever can write a file, or rename something above it, decides what runs as the daemon's user; so the file and
/// every folder on the way to it, those of symbolic links too, must belong to somebody who has that power anyway, as
/// sshd asks of keys. A folder that everybody may write to with the sticky bit, as `/tmp`, would keep others from
/// renaming what is in it; it is still refused outside of the policy `any`, because temporary folders are emptied, and
/// whoever comes first then makes the path anew. An ACL that lets others write shows in the group's mode bits.
struct OwnershipRules: Sendable, Equatable {
    var owners: Set<uid_t>
    /// Whether folders such as `/tmp` may be on the way.
    var allowsSharedFolders: Bool

    private static let maximumLinks = 40

    /// Follows a path link by link and checks every folder and link that it goes through.
    ///
    /// - Returns: the same file's path without links.
    /// - Throws: ``HostError``: the message begins with `subject`, and ends with how to put it right.
    func resolve(_ path: String, subject: String) throws -> String {
        var current = "/"
        var status = try Self.status(of: current, subject)
        try check(status, "folder /", "/", subject)
        var links = 0
        var pending = Self.parts(try Self.absolute(path, subject))
        while let part = pending.popLast() {
            if part == ".." {
                current = Self.parent(of: current)
                continue
            }
            let next = current == "/" ? "/\(part)" : "\(current)/\(part)"
            status = try Self.status(of: next, subject)
            switch status.st_mode & S_IFMT {
            case S_IFLNK:
                links += 1
                guard links <= Self.maximumLinks else { throw Self.systemError(ELOOP, subject) }
                try checkOwner(status, "link \(next)", next, subject)
                let target = try Self.target(ofLink: next, subject)
                if target.hasPrefix("/") { current = "/" }
                pending += Self.parts(target)
            case S_IFDIR:
                try check(status, "folder \(next)", next, subject)
                current = next
            default:
                guard pending.isEmpty else { throw Self.systemError(ENOTDIR, subject) }
                return next
            }
        }
        return current
    }

    /// Checks owner and mode.
    ///
    /// - Parameter what: the file or folder in words.
    func check(_ status: stat, _ what: String, _ path: String, _ subject: String) throws {
        try checkOwner(status, what, path, subject)
        guard status.st_mode & (S_IWGRP | S_IWOTH) != 0 else { return }
        let isFolder = status.st_mode & S_IFMT == S_IFDIR
        if isFolder, allowsSharedFolders, status.st_mode & S_ISVTX != 0 { return }
        let who = status.st_mode & S_IWOTH != 0 ? "everybody" : "its group"
        throw HostError(
            .plugin,
            "\(subject): \(what) has owner \(status.st_uid) and mode \(Self.mode(status)): \(who) may write it; "
                + (isFolder && status.st_mode & S_ISVTX != 0
                    ? "put the plugin elsewhere, or use the trust policy any" : "chmod go-w \(path)"))
    }

    private func checkOwner(_ status: stat, _ what: String, _ path: String, _ subject: String) throws {
        guard !owners.contains(status.st_uid) else { return }
        let allowed = owners.sorted().map(String.init).joined(separator: ", ")
        throw HostError(
            .plugin,
            "\(subject): \(what) has owner \(status.st_uid) and mode \(Self.mode(status)); allowed owners are "
                + "\(allowed); chown -h root \(path)")
    }

    /// Four octal digits.
    private static func mode(_ status: stat) -> String {
        let digits = String(status.st_mode & 0o7777, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    static func systemError(_ code: Int32, _ subject: String) -> HostError {
        HostError(.plugin, "\(subject): \(String(cString: strerror(code)))")
    }

    private static func status(of path: String, _ subject: String) throws -> stat {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw systemError(errno, subject) }
        return status
    }

    private static func absolute(_ path: String, _ subject: String) throws -> String {
        if path.hasPrefix("/") { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { throw systemError(errno, subject) }
        return text(buffer) + "/" + path
    }

    private static func target(ofLink path: String, _ subject: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        guard readlink(path, &buffer, Int(PATH_MAX)) > 0 else { throw systemError(errno, subject) }
        return text(buffer)
    }

    private static func text(_ buffer: [CChar]) -> String {
        String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Last part first, without those that mean nothing.
    private static func parts(_ path: String) -> [String] {
        path.split(separator: "/").filter { $0 != "." }.map(String.init).reversed()
    }

    private static func parent(of path: String) -> String {
        let parent = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        return parent.isEmpty ? "/" : String(parent)
    }
}
