/// The one error type of this module.
public enum CheckError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The plugin breaks the contract; the text says how.
    case failed(String)
    /// The case cannot be run here; the text says why.
    case skipped(String)
    /// The validator was asked for something that it cannot do: a bad file, an unknown case.
    case usage(String)

    public var description: String {
        switch self {
        case .failed(let text), .skipped(let text), .usage(let text): text
        }
    }
}

/// Fails the case unless `condition` holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(CheckError) {
    if !condition { throw .failed(message()) }
}
