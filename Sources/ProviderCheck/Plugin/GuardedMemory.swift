import FoundationEssentials
import Glibc

/// Bytes that end where a page ends that nobody may touch, so that one byte too far is a crash. They can be locked to
/// find out who still looks at them. The address range is never used again in this process.
///
/// Sendable: the pointer is constant; who shares the bytes between threads orders the accesses.
final class GuardedMemory: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    let count: Int
    private let base: UnsafeMutableRawPointer
    private let pageBytes: Int
    private let page: Int
    private var stays = false

    /// - Parameter count: a multiple of 8 if a struct is to be put there.
    init(count: Int) throws(CheckError) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let body = max(page, (count + page - 1) / page * page)
        guard
            let base = mmap(nil, body + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            base != MAP_FAILED, mprotect(base + body, page, PROT_NONE) == 0
        else { throw .failed("the validator has no memory for \(count) guarded bytes") }
        self.base = base
        self.count = count
        pageBytes = body
        self.page = page
        pointer = base + (body - count)
    }

    /// A copy of `data`.
    convenience init(_ data: Data) throws(CheckError) {
        try self.init(count: data.count)
        data.copyBytes(to: UnsafeMutableRawBufferPointer(start: pointer, count: data.count))
    }

    var bytes: UnsafePointer<UInt8> { UnsafePointer(pointer.assumingMemoryBound(to: UInt8.self)) }

    var data: Data { Data(bytes: pointer, count: count) }

    deinit {
        if !stays { munmap(base, pageBytes + page) }
    }

    /// From now on every access is a crash.
    func lock() {
        madvise(base, pageBytes, MADV_DONTNEED)
        mprotect(base, pageBytes, PROT_NONE)
        stays = true
    }

    /// The bytes stay as they are until the process ends.
    func leave() {
        stays = true
    }
}
