/// Cuts a stream of bytes at newlines, whatever pieces it arrives in. Pure; holds at most one unfinished line beside
/// the last piece.
struct LineSplitter {
    /// Longest line accepted, in bytes without its newline.
    let maximumLineBytes: Int
    private var buffer: [UInt8] = []
    /// Where the next line starts.
    private var start = 0
    /// Up to here no newline was found, so a long line is not searched from its start with every piece.
    private var searched = 0

    init(maximumLineBytes: Int) {
        self.maximumLineBytes = maximumLineBytes
    }

    /// A line that is longer than allowed.
    struct LineTooLong: Error, Equatable {
        let maximumLineBytes: Int
    }

    /// Bytes of a line whose end has not come.
    var unfinishedBytes: Int { buffer.count - start }

    /// Takes the next piece of the stream.
    mutating func append(_ bytes: some Collection<UInt8>) {
        if start > 0 {
            buffer.removeFirst(start)
            searched -= start
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole line that is not empty, without its newline; nil until more bytes come.
    ///
    /// - Throws: ``LineTooLong``; the stream is then of no more use.
    mutating func next() throws(LineTooLong) -> ArraySlice<UInt8>? {
        while let newline = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
            var line = buffer[start..<newline]
            start = newline + 1
            searched = start
            guard line.count <= maximumLineBytes else { throw LineTooLong(maximumLineBytes: maximumLineBytes) }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if !line.isEmpty { return line }
        }
        searched = buffer.count
        guard unfinishedBytes <= maximumLineBytes else { throw LineTooLong(maximumLineBytes: maximumLineBytes) }
        return nil
    }
}
