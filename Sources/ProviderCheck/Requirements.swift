/// Which numbered requirements of docs/provider-abi.md a case holds a plugin to. The one place that knows.
public enum Requirements {
    static let table: [String: [String]] = [:]

    /// In ascending order.
    public static func of(_ caseName: String) -> [String] { table[caseName] ?? [] }
}
