/// Names of regions, which Azure writes with and without spaces: `westeurope`, `West Europe`.
public enum Region {
    public static func isSame(_ left: String, _ right: String) -> Bool {
        func plain(_ text: String) -> String { text.lowercased().filter { $0 != " " } }
        return plain(left) == plain(right)
    }
}
