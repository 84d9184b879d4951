// What stays of the request log.

import Bytes

/// How much of the log's older files is kept.
package enum LogKeep: Equatable, Sendable, CustomStringConvertible {
    /// So many files, the one that is written to included.
    case files(Int)
    /// So many bytes in all.
    case bytes(Int)
    /// What was written to within so many days.
    case days(Int)

    /// Reads `200`, `50GB`, `50GiB` or `30d`; nil when it is something else.
    package init?(_ text: String) {
        let digits = text.prefix { $0 >= "0" && $0 <= "9" }
        guard let number = Int(digits), number > 0 else { return nil }
        let units = [
            "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000, "MiB": 1 << 20,
            "GiB": 1 << 30, "TiB": 1 << 40,
        ]
        switch text.dropFirst(digits.count) {
        case "": self = .files(number)
        case "d" where number <= 100_000: self = .days(number)
        case let unit:
            guard let size = units[String(unit)] else { return nil }
            let (bytes, overflow) = number.multipliedReportingOverflow(by: size)
            guard !overflow else { return nil }
            self = .bytes(bytes)
        }
    }

    /// The text that `init` reads.
    package var description: String {
        switch self {
        case .files(let count): "\(count)"
        case .days(let count): "\(count)d"
        case .bytes(let count):
            count % 1_000_000 == 0 ? "\(count / 1_000_000)MB" : "\(count / (1 << 20))MiB"
        }
    }

    /// Which files go, of these, the oldest first: their bytes, and when each was last written to,
    /// in nanoseconds since 1970. The newest always stays.
    func removed(_ files: [(bytes: Int, written: Int64)], now: Int64) -> [Int] {
        switch self {
        case .files(let count): return Array(files.indices.dropLast(count))
        case .days(let count):
            let limit = now - Int64(count) * 86_400_000_000_000
            return files.indices.dropLast().filter { files[$0].written < limit }
        case .bytes(let most):
            var sum = 0
            var gone: [Int] = []
            for index in files.indices.reversed() {
                sum += files[index].bytes
                if sum > most, index != files.indices.last { gone.append(index) }
            }
            return gone.reversed()
        }
    }
}
