// Times of the request log: always `2026-11-21T03:00:00.123456Z`, so they are compared as texts.

import Logging
import Platform

/// Times as records have them.
enum LogTime {
    /// Whether a time comes before another one.
    static func isBefore(_ time: Span<UInt8>, _ other: [UInt8]) -> Bool {
        for index in 0..<min(time.count, other.count) where time[index] != other[index] {
            return time[index] < other[index]
        }
        return false
    }

    /// The time that `10min` ago was, or that an RFC 3339 text names; nil for other texts.
    static func start(_ text: String, now: WallTime) -> [UInt8]? {
        let bytes = Array(text.utf8)
        guard let microseconds = ago(bytes, now) ?? moment(bytes) else { return nil }
        return Array(Timestamp.text(WallTime(microseconds: max(0, microseconds))).utf8)
    }

    private static let units: [(name: String, seconds: Int64)] = [
        ("min", 60), ("s", 1), ("h", 3600), ("d", 86400),
    ]

    /// `30s`, `10min`, `2h`, `1d`
    private static func ago(_ text: [UInt8], _ now: WallTime) -> Int64? {
        for unit in units where text.reversed().starts(with: unit.name.utf8.reversed()) {
            guard let count = number(text.dropLast(unit.name.utf8.count), in: 0...1_000_000_000)
            else { return nil }
            return now.microseconds - count * unit.seconds * 1_000_000
        }
        return nil
    }

    /// `2026-11-21T03:00:00Z`, `2026-11-21t03:00:00.5+01:00`
    private static func moment(_ text: [UInt8]) -> Int64? {
        let form = Array("dddd-dd-ddTdd:dd:dd".utf8)
        guard text.count > form.count else { return nil }
        for (byte, wanted) in zip(text, form) where wanted != UInt8(ascii: "d") {
            guard byte == wanted || wanted == UInt8(ascii: "T") && byte | 0x20 == wanted | 0x20
            else { return nil }
        }
        guard let year = number(text[0..<4], in: 1970...9999),
            let month = number(text[5..<7], in: 1...12), let day = number(text[8..<10], in: 1...31),
            let hour = number(text[11..<13], in: 0...23),
            let minute = number(text[14..<16], in: 0...59),
            // A minute may have a leap second.
            let second = number(text[17..<19], in: 0...60)
        else { return nil }
        var rest = text[19...]
        var fraction: Int64 = 0
        if rest.first == UInt8(ascii: ".") {
            let digits = rest.dropFirst().prefix { (48...57).contains($0) }
            guard !digits.isEmpty else { return nil }
            let micro = digits.prefix(6) + Array(repeating: 48, count: max(0, 6 - digits.count))
            fraction = number(micro, in: 0...999_999) ?? 0
            rest = rest.dropFirst(1 + digits.count)
        }
        guard let offset = offset(Array(rest)), day <= days(month, year) else { return nil }
        let seconds = daysSince1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
        return (seconds - offset) * 1_000_000 + fraction
    }

    /// Seconds of `Z`, `+01:00` or `-05:30`.
    private static func offset(_ text: [UInt8]) -> Int64? {
        if text.count == 1, text[0] | 0x20 == UInt8(ascii: "z") { return 0 }
        guard text.count == 6, text[3] == UInt8(ascii: ":"),
            let hours = number(text[1..<3], in: 0...23),
            let minutes = number(text[4..<6], in: 0...59)
        else { return nil }
        switch text[0] {
        case UInt8(ascii: "+"): return hours * 3600 + minutes * 60
        case UInt8(ascii: "-"): return -hours * 3600 - minutes * 60
        default: return nil
        }
    }

    private static func number(
        _ digits: ArraySlice<UInt8>,
        in range: ClosedRange<Int64>
    ) -> Int64? {
        guard !digits.isEmpty, digits.count <= 10 else { return nil }
        var number: Int64 = 0
        for digit in digits {
            guard (48...57).contains(digit) else { return nil }
            number = number * 10 + Int64(digit - 48)
        }
        return range.contains(number) ? number : nil
    }

    private static func isLeap(_ year: Int64) -> Bool {
        year % 4 == 0 && year % 100 != 0 || year % 400 == 0
    }

    private static func days(_ month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        // Years begin in March, so that a leap day is the last of its year.
        let shifted = month <= 2 ? year - 1 : year
        let monthIndex = (month + 9) % 12
        let dayOfYear = (153 * monthIndex + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }
}
