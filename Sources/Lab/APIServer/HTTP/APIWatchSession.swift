/// One running watch: turns store events into lines of JSON for one client.
struct APIWatchSession: Sendable {
    /// Served when the client names no timeout; the real server takes 30 to 60 minutes.
    static let defaultTimeoutSeconds: Int64 = 1800
    /// How often a client that allows bookmarks gets one.
    static let bookmarkInterval: Duration = .seconds(60)

    let service: APIService
    let watcher: APIObjectStore.Watcher
    let translator: APIWatchTranslator
    let opening: [APIWatchTranslator.Line]
    let timeout: Duration
    let sendsBookmarks: Bool

    /// Sends all lines through `write` until the timeout, the end of the store, or the task's cancellation.
    func run(_ write: ([UInt8]) async throws -> Void) async throws {
        defer { cancel() }
        var translator = translator
        for line in opening { try await write(try translator.encode(line, at: service.clock.now())) }
        let timer = Task { try await keepTime() }
        defer { timer.cancel() }
        try await withTaskCancellationHandler {
            for await event in watcher.events {
                guard let line = translator.line(for: event, sendsBookmarks: sendsBookmarks) else { continue }
                try await write(try translator.encode(line, at: service.clock.now()))
            }
        } onCancel: {
            cancel()
        }
    }

    /// Ends the watch, e.g. because the client has gone. From any thread, any number of times.
    func cancel() { service.store.cancel(watcher) }

    /// Puts bookmarks into the stream, the last one at the timeout.
    private func keepTime() async throws {
        let clock = ContinuousClock()
        let end = clock.now + timeout
        while clock.now + Self.bookmarkInterval < end {
            try await clock.sleep(for: Self.bookmarkInterval)
            service.store.bookmark(watcher)
        }
        try await clock.sleep(until: end)
        service.store.bookmark(watcher, last: true)
    }
}

extension APIResourceCall {
    func watch() throws(APIStatusError) -> APIWatchSession {
        var selection = try selection()
        if let name = target.name {
            selection.fields.requirements.append(.init(field: "metadata.name", value: name, isEqual: true))
        }
        let version = try request.query.count("resourceVersion") ?? 0
        // A watch from nowhere begins with the objects there are, asked for or not (since Kubernetes 1.32).
        let wantsInitialEvents =
            request.query["sendInitialEvents"] == nil ? version == 0 : request.query.flag("sendInitialEvents")
        let start: APIObjectStore.WatchStart = version == 0 || wantsInitialEvents ? .current : .after(version)
        let sendsBookmarks = request.query.flag("allowWatchBookmarks")
        let current = service.store.revision
        if version > current { throw .tooLargeResourceVersion(version, current: current) }
        let representation = try APIRepresentation.parse(accept: request.accept)
        guard representation.language == .json else { throw .notAcceptable() }
        let translator = APIWatchTranslator(
            selection: selection, form: representation.form, printer: printer, resource: resource)
        let timeout = try request.query.count("timeoutSeconds") ?? APIWatchSession.defaultTimeoutSeconds
        // A session that never runs, because its client went before, is cut off when its buffer is full.
        guard let begun = service.store.watch(resource.storage, from: start) else {
            throw .expired("too old resource version: \(version) (\(current))")
        }
        var opening = begun.objects.filter(selection.matches).map(APIWatchTranslator.Line.added)
        if wantsInitialEvents, sendsBookmarks { opening.append(.bookmark(begun.revision, endsInitialEvents: true)) }
        opening += begun.changes.compactMap(translator.line(for:))
        return APIWatchSession(
            service: service, watcher: begun.watcher, translator: translator, opening: opening,
            timeout: .seconds(timeout == 0 ? APIWatchSession.defaultTimeoutSeconds : timeout),
            sendsBookmarks: sendsBookmarks)
    }
}
