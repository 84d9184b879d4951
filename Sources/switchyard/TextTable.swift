/// Columns of text, for people.
enum TextTable {
    /// The rows with their columns below each other, each row on a line.
    static func text(_ rows: [[String]], indent: String = "") -> String {
        guard let first = rows.first else { return "" }
        let widths = first.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { index, cell in
                index == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[index] - cell.count)
            }
            return indent + cells.joined(separator: "  ") + "\n"
        }.joined()
    }
}
