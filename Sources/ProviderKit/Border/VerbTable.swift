import ProviderAPI

/// The C vtables of one instance, alive as long as this object.
///
/// A C function pointer cannot capture which capability it stands for, so there is one fixed row of functions per slot;
/// a capability's slot is its index in the provider's list.
///
/// Sendable: the memory is written in `init` only and read-only until `deinit`.
final class VerbTables: @unchecked Sendable {
    private let storage: UnsafeMutablePointer<egp_capability>
    private let count: Int

    init(_ capabilities: [CapabilityBinding]) {
        count = capabilities.count
        storage = .allocate(capacity: max(count, 1))
        for (slot, capability) in capabilities.enumerated() {
            let row = verbRows[slot]
            func offered(_ verb: Verb, _ function: @escaping egp_verb) -> egp_verb? {
                capability.offeredVerbs.contains(verb) ? function : nil
            }
            (storage + slot).initialize(
                to: egp_capability(
                    size: UInt32(MemoryLayout<egp_capability>.size), flags: 0,
                    ensure: offered(.ensure, row.ensure), remove: offered(.remove, row.remove),
                    check: offered(.check, row.check), prune: offered(.prune, row.prune),
                    status: offered(.status, row.status)))
        }
    }

    deinit {
        storage.deinitialize(count: count)
        storage.deallocate()
    }

    func pointer(_ slot: Int) -> UnsafePointer<egp_capability> { UnsafePointer(storage + slot) }
}

private struct VerbRow: Sendable {
    let ensure: egp_verb
    let remove: egp_verb
    let check: egp_verb
    let prune: egp_verb
    let status: egp_verb
}

private func start(
    _ slot: Int, _ verb: Verb, _ instance: OpaquePointer, _ call: UnsafePointer<egp_call>, _ request: egp_bytes
) -> egp_code {
    let box = Unmanaged<InstanceBox>.fromOpaque(UnsafeRawPointer(instance)).takeUnretainedValue()
    return box.start(slot, verb, call, request).borderCode
}

private let verbRows: [VerbRow] = [
    VerbRow(
        ensure: { start(0, .ensure, $0, $1, $2) }, remove: { start(0, .remove, $0, $1, $2) },
        check: { start(0, .check, $0, $1, $2) }, prune: { start(0, .prune, $0, $1, $2) },
        status: { start(0, .status, $0, $1, $2) }),
    VerbRow(
        ensure: { start(1, .ensure, $0, $1, $2) }, remove: { start(1, .remove, $0, $1, $2) },
        check: { start(1, .check, $0, $1, $2) }, prune: { start(1, .prune, $0, $1, $2) },
        status: { start(1, .status, $0, $1, $2) }),
    VerbRow(
        ensure: { start(2, .ensure, $0, $1, $2) }, remove: { start(2, .remove, $0, $1, $2) },
        check: { start(2, .check, $0, $1, $2) }, prune: { start(2, .prune, $0, $1, $2) },
        status: { start(2, .status, $0, $1, $2) }),
    VerbRow(
        ensure: { start(3, .ensure, $0, $1, $2) }, remove: { start(3, .remove, $0, $1, $2) },
        check: { start(3, .check, $0, $1, $2) }, prune: { start(3, .prune, $0, $1, $2) },
        status: { start(3, .status, $0, $1, $2) }),
]
