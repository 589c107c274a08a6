import Glibc

/// The daemons' trust policy in a lab: `digest`, unless the install tree lies where that policy refuses it, as below
/// `/tmp`; then `any`, and the daemons' logs say so for each plugin.
struct LabTrust: Equatable {
    var policy: String
    /// Owners of the tree besides root and whoever runs the lab, as in a checkout that was built with sudo.
    var owners: [UInt32]

    /// Looks at a folder and all above it.
    init(folder: String) {
        var others: Set<UInt32> = []
        var isShared = false
        var path = folder[...]
        while true {
            var status = stat()
            if stat(path.isEmpty ? "/" : String(path), &status) == 0 {
                others.insert(status.st_uid)
                if status.st_mode & (S_IWGRP | S_IWOTH) != 0 { isShared = true }
            }
            guard let slash = path.lastIndex(of: "/") else { break }
            path = path[..<slash]
        }
        policy = isShared ? "any" : "digest"
        owners = others.subtracting([0, geteuid()]).sorted()
    }

    /// The section of `host.yaml`, one line.
    var text: String { "trust: { policy: \(policy), owners: [\(owners.map(String.init).joined(separator: ", "))] }" }
}
