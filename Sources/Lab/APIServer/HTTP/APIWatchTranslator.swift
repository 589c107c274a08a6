import FoundationEssentials

/// Decides what a watcher with a selection sees of a change, and writes it. Pure.
struct APIWatchTranslator: Sendable {
    enum Line: Sendable {
        case added(APIStoredObject)
        case modified(APIStoredObject)
        case deleted(APIStoredObject)
        case bookmark(Int64, endsInitialEvents: Bool)
    }

    let selection: APISelection
    let form: APIRepresentation.Form
    let printer: APITablePrinter
    let resource: ResourceDescriptor
    /// The columns of a table go with its first event only.
    private var hasShownColumns = false

    init(
        selection: APISelection, form: APIRepresentation.Form, printer: APITablePrinter,
        resource: ResourceDescriptor
    ) {
        self.selection = selection
        self.form = form
        self.printer = printer
        self.resource = resource
    }

    func line(for event: APIObjectStore.Event, sendsBookmarks: Bool) -> Line? {
        switch event {
        case .change(let change): line(for: change)
        case .bookmark(let revision): sendsBookmarks ? .bookmark(revision, endsInitialEvents: false) : nil
        }
    }

    /// An object that begins to match is added, one that ceases to match is deleted, whatever happened to it.
    func line(for change: APIStoreChange) -> Line? {
        let matched = change.previous.map(selection.matches) ?? false
        let matches = change.kind != .deleted && selection.matches(change.object)
        switch (matched, matches) {
        case (false, true): return .added(change.object)
        case (true, true): return .modified(change.object)
        case (true, false): return .deleted(change.object)
        case (false, false): return nil
        }
    }

    /// The line as JSON with a line feed.
    mutating func encode(_ line: Line, at now: Date) throws(APIStatusError) -> [UInt8] {
        var output: [UInt8] = []
        switch line {
        case .added(let object): try encode("ADDED", object, now, into: &output)
        case .modified(let object): try encode("MODIFIED", object, now, into: &output)
        case .deleted(let object): try encode("DELETED", object, now, into: &output)
        case .bookmark(let revision, let endsInitialEvents):
            var metadata: APIValue = ["resourceVersion": .string(String(revision)), "creationTimestamp": .null]
            if endsInitialEvents { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
            var object: APIValue = [
                "kind": .string(resource.kind), "apiVersion": .string(resource.apiVersion), "metadata": metadata,
            ]
            if form == .table { object = printer.table(of: [], metadata: metadata, showsColumns: false) }
            output += Array(#"{"type":"BOOKMARK","object":"#.utf8)
            object.encode(into: &output)
        }
        output += Array("}\n".utf8)
        return output
    }

    private mutating func encode(
        _ type: String, _ object: APIStoredObject, _ now: Date, into output: inout [UInt8]
    ) throws(APIStatusError) {
        output.reserveCapacity(object.body.count + 64)
        output += Array(#"{"type":"\#(type)","object":"#.utf8)
        switch form {
        case .object: output += try resource.view?.served(object) ?? object.body
        case .partialMetadata: APITablePrinter.partialMetadata(try object.decoded()).encode(into: &output)
        case .table:
            let printer = APITablePrinter(resource: resource, included: self.printer.included, now: now)
            printer.table(
                of: [try object.decoded()], metadata: ["resourceVersion": .string(String(object.revision))],
                showsColumns: !hasShownColumns
            ).encode(into: &output)
            hasShownColumns = true
        }
    }
}
