import Bytes
import Testing

struct ByteBufferTests {
    private func text(_ buffer: borrowing ByteBuffer) -> String {
        buffer.withSpan { Bytes.string($0, 0..<$0.count) }
    }

    @Test func `whatever is appended stands there in order, however often it grows`() {
        var buffer = ByteBuffer(capacity: 1)
        var expected: [UInt8] = []
        for round in 0..<200 {
            buffer.append(UInt8(truncatingIfNeeded: round))
            buffer.append(literal: "literal")
            buffer.append("text \(round)")
            buffer.append([1, 2, 3].span)
            buffer.append(decimal: UInt64(round), width: 4)
            expected.append(UInt8(truncatingIfNeeded: round))
            expected += Array("literaltext \(round)".utf8) + [1, 2, 3]
            expected += Array(String(10000 + round).utf8.dropFirst())
        }
        #expect(buffer.withSpan { Bytes.equal($0, expected.span) })
        #expect(buffer.count == expected.count && buffer.capacity >= buffer.count)
        var other = ByteBuffer()
        other.append(buffer)
        other.removeLast(3)
        #expect(other.count == expected.count - 3)
        other[0] = 77
        #expect(other[0] == 77 && buffer[0] == 0)
        buffer.clear()
        #expect(buffer.isEmpty && buffer.capacity >= expected.count)
        buffer.clear(keeping: 100)
        #expect(buffer.capacity <= 4096)
    }

    @Test func `numbers have the digits that they always have`() {
        var numbers: [UInt64] = [0, .max, .max - 1]
        var power: UInt64 = 1
        for _ in 0..<19 {
            power *= 10
            numbers += [power - 1, power, power + 1]
        }
        for number in numbers {
            var buffer = ByteBuffer()
            buffer.append(decimal: number)
            #expect(text(buffer) == String(number))
        }
    }

    /// Every length and place, at every alignment, beside a search byte by byte.
    @Test func `searches and comparisons agree with those that look at one byte at a time`() {
        let filler = UInt8(ascii: "x")
        for length in 0..<40 {
            for special in [0x00, 0x09, 0x0d, 0x1f, 0x20, 0x22, 0x5c, 0x7e, 0x7f, 0x80, 0xff] {
                for place in 0..<max(1, length) {
                    var bytes = [UInt8](repeating: filler, count: length)
                    if length > 0 { bytes[place] = UInt8(special) }
                    let slow = bytes.firstIndex { $0 < 0x20 || $0 == 0x7f } ?? length
                    let found = Bytes.firstControl(in: bytes.span, from: 0)
                    #expect(found == slow)
                    let arePlain = bytes.allSatisfy {
                        $0 >= 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c
                    }
                    let isFoundPlain = Bytes.arePlain(bytes.span)
                    #expect(isFoundPlain == arePlain)
                    let other = [UInt8](repeating: filler, count: length)
                    let isEqual = Bytes.equal(bytes.span, other.span)
                    #expect(isEqual == (bytes == other))
                }
            }
        }
    }

    @Test func `two marks in one word do not hide each other`() {
        for first in [0x09, 0x22, 0x5c, 0x7f, 0x80, 0x1f, 0x41] as [UInt8] {
            for second in [0x01, 0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7e, 0x81] as [UInt8] {
                let bytes: [UInt8] = [0x41, first, second, 0x41, second, first, 0x41, 0x41]
                let slow = bytes.firstIndex { $0 < 0x20 || $0 == 0x7f } ?? 8
                let found = Bytes.firstControl(in: bytes.span, from: 0)
                #expect(found == slow)
                let arePlain = bytes.allSatisfy {
                    $0 >= 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c
                }
                let isFoundPlain = Bytes.arePlain(bytes.span)
                #expect(isFoundPlain == arePlain)
            }
        }
    }

    @Test func `a word equals itself in any case and nothing else`() {
        func isLength(_ text: String, _ count: Int) -> Bool {
            let bytes = Array(text.utf8)
            return Bytes.equalIgnoringCase(bytes.span, 0..<count, "content-length")
        }
        #expect(isLength("Content-LENGTH", 14))
        #expect(!isLength("Content-LENGTH", 13))
        #expect(!isLength("Content\u{0d}LENGTH", 14))
    }
}
