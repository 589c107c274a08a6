import LinuxNet

/// The kernel's reverse path filter for IPv4 on one link, strict: a packet is dropped whose answer would not leave by
/// the link that it came from. On threads in the link's namespace.
enum SourceCheck {
    private static func key(_ link: String) -> String { "net/ipv4/conf/\(link)/rp_filter" }
    private static let all = key("all")
    private static let (off, strict, loose) = ("0", "1", "2")

    /// The kernel takes the greater of the link's value and that of "all": loose there (which a new namespace inherits,
    /// and many distributions set) would win over strict here.
    static func isOn(_ link: String) throws -> Bool {
        max(try Sysctl.get(key(link)), try Sysctl.get(all)) == strict
    }

    /// Other links keep their own values, which new ones inherit just as "all" does.
    static func turnOn(_ link: String) throws {
        try Sysctl.set(key(link), strict)
        if try Sysctl.get(all) == loose { try Sysctl.set(all, off) }
    }
}
