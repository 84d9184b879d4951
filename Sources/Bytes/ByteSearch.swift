// Looking through bytes, and comparing them, eight at a time.
//
// SAFETY: every load reads eight bytes from an index with eight bytes behind it, or one byte at an
// index below the count.

extension Bytes {
    /// The index of the first control character (below U+0020, or U+007F) from `start` on, or the
    /// span's count.
    ///
    /// A word's byte is below 0x20 where taking 0x20 from it borrows; a borrow also marks bytes
    /// above the first one that is, but never one below it, and the first one is what counts.
    @inlinable
    public static func firstControl(in bytes: Span<UInt8>, from start: Int) -> Int {
        precondition(start >= 0 && start <= bytes.count, "the search begins inside the bytes")
        return unsafe bytes.withUnsafeBytes { bytes in
            let ones: UInt64 = 0x0101_0101_0101_0101
            let tops: UInt64 = 0x8080_8080_8080_8080
            var index = start
            while index + 8 <= bytes.count {
                let word = UInt64(
                    littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                )
                let other = word ^ (ones &* 0x7f)
                let low = (word &- ones &* 0x20) & ~word & tops
                let delete = (other &- ones) & ~other & tops
                if low | delete != 0 { return index + (low | delete).trailingZeroBitCount / 8 }
                index += 8
            }
            while index < bytes.count {
                let byte = unsafe bytes[index]
                if byte < 0x20 || byte == 0x7f { return index }
                index += 1
            }
            return index
        }
    }

    /// Whether bytes are printable ASCII without quotes and backslashes, so that they stand for
    /// themselves in a JSON string.
    @inlinable
    public static func arePlain(_ bytes: Span<UInt8>) -> Bool {
        unsafe bytes.withUnsafeBytes { bytes in
            let ones: UInt64 = 0x0101_0101_0101_0101
            let tops: UInt64 = 0x8080_8080_8080_8080
            var index = 0
            while index + 8 <= bytes.count {
                let word = unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                let quote = word ^ (ones &* 0x22)
                let slash = word ^ (ones &* 0x5c)
                let delete = word ^ (ones &* 0x7f)
                let marks =
                    (word &- ones &* 0x20) | (quote &- ones) | (slash &- ones) | (delete &- ones)
                // With no byte above 0x7f a borrow marks a byte only if one below it is marked too.
                if (marks | word) & tops != 0 { return false }
                index += 8
            }
            while index < bytes.count {
                let byte = unsafe bytes[index]
                if byte < 0x20 || byte > 0x7e || byte == 0x22 || byte == 0x5c { return false }
                index += 1
            }
            return true
        }
    }

    /// Whether a part of a span is this ASCII word of lower-case letters, whatever the case of its
    /// own letters.
    @inlinable
    public static func equalIgnoringCase(
        _ bytes: Span<UInt8>,
        _ range: Range<Int>,
        _ word: StaticString
    ) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        return unsafe bytes.extracting(range).withUnsafeBytes { bytes in
            for index in 0..<bytes.count {
                let byte = unsafe bytes[index]
                let lower = byte &- 65 < 26 ? byte | 0x20 : byte
                if unsafe lower != word.utf8Start[index] { return false }
            }
            return true
        }
    }

    /// Whether a part of a span is this text.
    @inlinable
    public static func equal(
        _ bytes: Span<UInt8>,
        _ range: Range<Int>,
        _ text: StaticString
    ) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count
        where unsafe bytes[range.lowerBound + offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// Whether a part of a span equals the given bytes.
    @inlinable
    public static func equal(
        _ bytes: Span<UInt8>,
        _ range: Range<Int>,
        _ other: [UInt8]
    ) -> Bool {
        equal(bytes.extracting(range), other.span)
    }

    /// Whether two parts of one span hold the same bytes.
    @inlinable
    public static func equal(_ bytes: Span<UInt8>, _ one: Range<Int>, _ two: Range<Int>) -> Bool {
        equal(bytes.extracting(one), bytes.extracting(two))
    }

    /// Whether two spans hold the same bytes.
    @inlinable
    public static func equal(_ one: Span<UInt8>, _ two: Span<UInt8>) -> Bool {
        let count = one.count
        guard count == two.count else { return false }
        return unsafe one.withUnsafeBytes { one in
            unsafe two.withUnsafeBytes { two in
                var index = 0
                while index + 8 <= count {
                    let left = unsafe one.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                    let right = unsafe two.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                    if left != right { return false }
                    index += 8
                }
                while index < count {
                    if unsafe one[index] != two[index] { return false }
                    index += 1
                }
                return true
            }
        }
    }
}
