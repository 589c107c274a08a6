import Glibc

/// What tells one version of a file from another: who writes it in place changes its time, who puts another in its place
/// changes its number. Symbolic links are followed, so that one that leads elsewhere counts too.
struct FileVersion: Sendable, Equatable {
    private var device: UInt64
    private var inode: UInt64
    private var size: Int64
    private var seconds: Int
    private var nanoseconds: Int

    /// nil: there is no such file now. May block.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }
}

/// Decides from one look after the other when a file is to be read. Pure.
struct FileWatch: Sendable {
    private enum Seen: Equatable {
        case nothingYet
        /// nil: the file is not there.
        case version(FileVersion?)
    }

    private var read = Seen.nothingYet
    private var last = Seen.nothingYet

    /// - Parameter isAsked: somebody wants it read in any case.
    /// - Returns: whether to read now: it is another version than was read last, and the look before saw the same one.
    ///   Who is still writing is thus left to finish.
    mutating func shouldRead(_ version: FileVersion?, isAsked: Bool) -> Bool {
        let now = Seen.version(version)
        let isSettled = now == last
        last = now
        guard isAsked || isSettled && now != read else { return false }
        read = now
        return true
    }
}
