/// What `--list` prints, which is also the list of docs/provider-check.md.
public enum CaseList {
    /// A Markdown table.
    public static var text: String {
        var lines = ["| Case | What holds for a plugin that passes | Requirements |", "| --- | --- | --- |"]
        for checkCase in Catalogue.all {
            let mark = checkCase.needsItems ? " *" : ""
            let numbers = Requirements.of(checkCase.name).joined(separator: ", ")
            lines.append("| `\(checkCase.name)`\(mark) | \(checkCase.summary) | \(numbers) |")
        }
        lines.append("")
        lines.append("\\* needs items of the `--config` file, which it makes and removes.")
        return lines.joined(separator: "\n") + "\n"
    }
}
