/// The list-watch protocol as a pure state machine: the driver asks what to do, does it, and says what came of it.
///
/// ```
/// streaming --all objects----->  watching (from the stream's version)
/// streaming --refused--------->  listing, from now on
/// streaming --failed twice---->  wait, then list, from now on
/// listing  --page with token-->  listing (next page)
/// listing  --last page-------->  watching (from the list's version)
/// listing  --failed----------->  wait, then list from the start
/// watching --event, bookmark-->  watching (from the event's version)
/// watching --ended------------>  watching; waits first if it was very short
/// watching --failed----------->  wait, then watch; after three in a row list
/// watching --gone (410)------->  list at once; waits first if it did just that
/// watching --version too large>  as failed: a server that lags catches up, one restored from a backup never does
/// ```
///
/// Where the server can, all objects come as the first events of a watch instead of as pages (a streaming list:
/// Kubernetes enhancement 3157), so that neither side has to hold a page as a whole. "List" above then means to stream.
public struct ListWatchMachine: Sendable {
    /// Objects per page, as client-go.
    public static let pageLimit = 500
    /// What worked for this long resets the backoff.
    public static let quietPeriod = Duration.seconds(10)

    /// What the driver does next.
    public enum Action: Sendable, Equatable {
        /// Ask for all objects as events; the stream is over with the bookmark that ends them.
        case stream(timeoutSeconds: Int)
        /// Read a page; nil starts a new list, and what an unfinished one brought is thrown away.
        case list(continueToken: String?)
        /// Follow changes.
        case watch(resourceVersion: String, timeoutSeconds: Int)
        /// Sleep, then say ``ListWatchMachine/Input/waited``.
        case wait(Duration)
    }

    /// What came of an action.
    public enum Input: Sendable, Equatable {
        /// All objects arrived as events, as they were at this version.
        case streamed(resourceVersion: String)
        /// The server cannot stream lists, or does not know the request.
        case streamRefused
        /// A page arrived; the token asks for the next one.
        case page(resourceVersion: String, continueToken: String?)
        /// A change or a bookmark arrived.
        case event(resourceVersion: String)
        /// The server ended the watch in order, after this time.
        case watchEnded(after: Duration)
        /// The action failed, after this time.
        case failed(Failure, after: Duration)
        /// The wait is over.
        case waited
    }

    /// Why an action failed, as far as it matters here.
    public enum Failure: Sendable, Equatable {
        /// The version or token is too old (410).
        case gone
        /// The server named a wait (429, 503).
        case throttled(Duration)
        /// The version is one that the server has not seen (504 with the cause ResourceVersionTooLarge); it names a wait.
        case versionTooLarge(Duration?)
        /// Anything else.
        case other
    }

    private enum State: Equatable {
        case streaming
        case listing(continueToken: String?)
        case watching(resourceVersion: String)
    }

    private let backoff: BackoffPolicy
    private let watchSeconds: ClosedRange<Int>
    private var state: State
    private var streamsLists: Bool
    /// Streams in a row that failed before all objects were there.
    private var streamFailures = 0
    private var waiting: Duration?
    /// Failures since the last progress: a whole list or an event.
    private var failures = 0
    /// Consecutive failures of the watch from the present version.
    private var watchFailures = 0
    /// True from a relist after 410 until an event: a server whose every version is gone must not be hammered.
    private var relistedWithoutProgress = false

    /// - Parameters:
    ///   - backoff: waits between failures; separate from that of reconciles.
    ///   - watchSeconds: the server is asked to end each watch after a random time in this range, so that many clients
    ///     do not return at once.
    ///   - streamsLists: whether the server is said to stream lists; if it then does not, pages are read.
    public init(
        backoff: BackoffPolicy = BackoffPolicy(base: .milliseconds(800), cap: .seconds(30)),
        watchSeconds: ClosedRange<Int> = 300...600, streamsLists: Bool = false
    ) {
        self.backoff = backoff
        self.watchSeconds = watchSeconds
        self.streamsLists = streamsLists
        state = streamsLists ? .streaming : .listing(continueToken: nil)
    }

    /// Seconds in which all objects must have come by a stream. A server that does not know streams answers with a
    /// watch that never says that all are there, and must not be waited for much longer.
    public static let streamSeconds = 60

    /// Where a list begins.
    private var beginning: State { streamsLists ? .streaming : .listing(continueToken: nil) }

    /// What to do now.
    public func next(using random: inout some RandomNumberGenerator) -> Action {
        if let waiting { return .wait(waiting) }
        switch state {
        case .streaming: return .stream(timeoutSeconds: Self.streamSeconds)
        case .listing(let token): return .list(continueToken: token)
        case .watching(let version):
            return .watch(resourceVersion: version, timeoutSeconds: Int.random(in: watchSeconds, using: &random))
        }
    }

    /// Takes in what came of the action.
    public mutating func handle(_ input: Input, using random: inout some RandomNumberGenerator) {
        switch input {
        case .waited: waiting = nil
        case .streamed(let version):
            streamFailures = 0
            listed(version)
        case .streamRefused:
            streamsLists = false
            state = beginning
        case .page(let version, let token):
            if let token {
                state = .listing(continueToken: token)
            } else {
                listed(version)
            }
        case .event(let version):
            // An object without a version cannot move the point of resumption.
            if !version.isEmpty { state = .watching(resourceVersion: version) }
            failures = 0
            watchFailures = 0
            relistedWithoutProgress = false
        case .watchEnded(let length):
            // A server that ends watches at once is as good as failing (client-go: "very short watch").
            if length < .seconds(1) { wait(nil, using: &random) } else { failures = 0 }
        case .failed(let failure, let length):
            // A watch that stood for a while and then fell silent is no sign of an overloaded server.
            if length >= Self.quietPeriod { failures = 0 }
            fail(failure, using: &random)
        }
    }

    private mutating func listed(_ version: String) {
        state = .watching(resourceVersion: version)
        watchFailures = 0
        if !relistedWithoutProgress { failures = 0 }
    }

    private mutating func fail(_ failure: Failure, using random: inout some RandomNumberGenerator) {
        switch (failure, state) {
        case (.throttled(let wish), _): wait(wish, using: &random)
        case (_, .streaming):
            streamFailures += 1
            if streamFailures >= 2 { streamsLists = false }
            state = beginning
            wait(nil, using: &random)
        case (.gone, .watching):
            state = beginning
            if relistedWithoutProgress { wait(nil, using: &random) }
            relistedWithoutProgress = true
        case (_, .listing):
            state = beginning
            wait(nil, using: &random)
        case (.other, .watching):
            watchFailed()
            wait(nil, using: &random)
        case (.versionTooLarge(let wish), .watching):
            watchFailed()
            wait(wish, using: &random)
        }
    }

    private mutating func watchFailed() {
        watchFailures += 1
        if watchFailures >= 3 { state = beginning }
    }

    private mutating func wait(_ wish: Duration?, using random: inout some RandomNumberGenerator) {
        let delay = backoff.delay(failures: failures, using: &random)
        waiting = max(wish ?? .zero, delay)
        failures += 1
    }
}

extension ListWatchMachine.Failure {
    /// What the machine has to know of an error.
    public init(_ error: any Error) {
        guard let error = error as? KubernetesError else {
            self = .other
            return
        }
        switch (error.code, error.retryAfter) {
        case (.gone, _): self = .gone
        case (.versionTooLarge, let wait): self = .versionTooLarge(wait)
        case (_, .some(let wait)): self = .throttled(wait)
        default: self = .other
        }
    }
}
