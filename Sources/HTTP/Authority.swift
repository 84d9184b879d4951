// A host with an optional port, as it stands in `Host` and in a target: RFC 3986 3.2.2 and 3.2.3,
// without the user, which RFC 9110 4.2.4 takes for an error.

import Bytes

/// Checks hosts.
enum Authority {
    /// Whether the place holds a host that is not empty, and behind a colon nothing but digits.
    static func isValid(_ text: Span<UInt8>, _ place: Range<Int>) -> Bool {
        var position = place.lowerBound
        if position < place.upperBound, text[position] == UInt8(ascii: "[") {
            guard let end = literalEnd(text, place) else { return false }
            position = end
        } else {
            while position < place.upperBound, isNameByte(text[position]) {
                if text[position] == UInt8(ascii: "%") {
                    guard position + 2 < place.upperBound, Hex.value(text[position + 1]) != nil,
                        Hex.value(text[position + 2]) != nil
                    else { return false }
                    position += 2
                }
                position += 1
            }
            guard position > place.lowerBound else { return false }
        }
        guard position < place.upperBound else { return true }
        guard text[position] == UInt8(ascii: ":") else { return false }
        position += 1
        // A port may be empty; beyond 65535 there is none.
        var port = 0
        while position < place.upperBound, text[position] &- 48 < 10, port <= 65_535 {
            port = port * 10 + Int(text[position] - 48)
            position += 1
        }
        return position == place.upperBound && port <= 65_535
    }

    /// Whether a byte may stand in a name: unreserved, percent sign, sub-delimiter.
    @inline(__always)
    private static func isNameByte(_ byte: UInt8) -> Bool {
        // A bit for each: 0-9 and !$%&'()*+,-.;= below U+0040; A-Z, a-z and _~ above.
        let words: (UInt64, UInt64) = (0x2bff_7ff2_0000_0000, 0x47ff_fffe_87ff_fffe)
        let word = byte < 64 ? words.0 : words.1
        return byte < 128 && word >> UInt64(byte & 63) & 1 == 1
    }

    /// Where an address in brackets ends; nil: it is none.
    private static func literalEnd(_ text: Span<UInt8>, _ place: Range<Int>) -> Int? {
        let start = place.lowerBound + 1
        var end = start
        while end < place.upperBound, text[end] != UInt8(ascii: "]") { end += 1 }
        guard end < place.upperBound else { return nil }
        let literal = Bytes.string(text, start..<end)
        return isIPv6(literal) || isFuture(literal) ? end + 1 : nil
    }

    /// An address of a later version: `v1.fe80`.
    private static func isFuture(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 1)
        guard parts.count == 2, let mark = parts[0].first, mark | 0x20 == UInt8(ascii: "v") else {
            return false
        }
        return parts[0].count > 1 && parts[0].dropFirst().allSatisfy { Hex.value($0) != nil }
            && parts[1].allSatisfy {
                $0 != UInt8(ascii: "%") && (isNameByte($0) || $0 == UInt8(ascii: ":"))
            }
    }

    /// Eight groups of up to four hexadecimal digits; `::` stands for one or more groups of zeros,
    /// and an IPv4 address for the last two.
    static func isIPv6(_ text: String) -> Bool {
        let halves = text.firstRange(of: "::").map {
            [text[..<$0.lowerBound], text[$0.upperBound...]]
        }
        var groups = 0
        for (index, half) in (halves ?? [text[...]]).enumerated() where !half.isEmpty {
            let parts = half.split(separator: ":", omittingEmptySubsequences: false)
            for (place, part) in parts.enumerated() {
                let isLast = place == parts.count - 1 && index == (halves?.count ?? 1) - 1
                if isLast, part.contains(".") {
                    guard isIPv4(part) else { return false }
                    groups += 2
                } else {
                    guard (1...4).contains(part.utf8.count),
                        part.utf8.allSatisfy({ Hex.value($0) != nil })
                    else { return false }
                    groups += 1
                }
            }
        }
        return halves == nil ? groups == 8 && !text.isEmpty : groups <= 7
    }

    private static func isIPv4(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard let number = Bytes.decimal(part.utf8) else { return false }
                return number <= 255 && (part.utf8.count == 1 || part.first != "0")
            }
    }
}
