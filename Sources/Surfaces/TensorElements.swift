// The elements of tensors, from bytes to JSON text and back.

import Bytes
package import Endpoints
import JSON

/// One element of a tensor, as it lies in memory: little-endian.
package enum TensorElement {
    /// The unsigned number of some bytes.
    @inline(__always)
    private static func bits(_ bytes: Span<UInt8>, _ position: Int, _ size: Int) -> UInt64 {
        var bits: UInt64 = 0
        for offset in 0..<size { bits |= UInt64(bytes[position + offset]) << UInt64(8 * offset) }
        return bits
    }

    /// The bytes of the element of BYTES whose length stands at `position`, behind those four.
    @inline(__always)
    package static func length(_ bytes: Span<UInt8>, _ position: Int) -> Int {
        Int(bits(bytes, position, lengthBytes))
    }

    /// Appends an element of BYTES: its length, and what it is.
    package static func append(_ contents: Span<UInt8>, to bytes: inout [UInt8]) {
        append(UInt64(contents.count), lengthBytes, to: &bytes)
        bytes.append(contents)
    }

    /// Bytes of the length before an element of BYTES.
    package static let lengthBytes = 4

    /// The double that a half-precision number is.
    static func half(_ bits: UInt64) -> Double {
        let exponent = Int(bits >> 10 & 31)
        let fraction = Double(bits & 1023)
        let magnitude: Double
        switch exponent {
        case 0: magnitude = fraction * 0x1p-24
        case 31: magnitude = fraction == 0 ? .infinity : .nan
        default:
            magnitude =
                (1024 + fraction) * Double(sign: .plus, exponent: exponent - 25, significand: 1)
        }
        return bits >> 15 == 0 ? magnitude : -magnitude
    }

    /// The half-precision number nearest to a number, ties to even; its bits.
    static func half(_ number: Double) -> UInt64 {
        narrow(number, fraction: 10, smallest: -14)
    }

    /// The upper half of the float that is nearest to a number, ties to even; its bits. Rounded
    /// once: by way of a float the number would be rounded twice.
    static func bfloat(_ number: Double) -> UInt64 {
        narrow(number, fraction: 7, smallest: -126)
    }

    /// The 16 bits of the nearest number of a binary form, ties to even.
    ///
    /// - Parameters:
    ///   - fraction: bits of a number's fraction.
    ///   - smallest: the exponent of the smallest normal number.
    private static func narrow(_ number: Double, fraction: Int, smallest: Int) -> UInt64 {
        let sign: UInt64 = number.sign == .minus ? 1 << 15 : 0
        let magnitude = number.magnitude
        let infinity = (1 << 15) - UInt64(1 << fraction)
        if magnitude.isNaN { return infinity | 1 << UInt64(fraction - 1) }
        // In steps of the smallest difference at this size: whole numbers of it are exact doubles.
        let exponent = max(magnitude == 0 ? smallest : Int(magnitude.exponent), smallest)
        if exponent > 1 - smallest { return sign | infinity }
        let scale = Double(sign: .plus, exponent: fraction - exponent, significand: 1)
        let steps = (magnitude * scale).rounded(.toNearestOrEven)
        // A step too far carries into the exponent by itself, and beyond the largest into infinity.
        return sign | (UInt64(exponent - smallest) << UInt64(fraction)) &+ UInt64(steps)
    }

    /// The element at `position` as a number; nil: it is none that JSON can express.
    static func number(_ type: Datatype, _ bytes: Span<UInt8>, _ position: Int) -> Double? {
        let number: Double
        switch type {
        case .fp16: number = half(bits(bytes, position, 2))
        case .bf16:
            number = Double(Float(bitPattern: UInt32(bits(bytes, position, 2)) << 16))
        case .fp32: number = Double(Float(bitPattern: UInt32(bits(bytes, position, 4))))
        default: number = Double(bitPattern: bits(bytes, position, 8))
        }
        return number.isFinite ? number : nil
    }

    /// Appends the JSON text of the element at `position`; false: JSON cannot express it.
    package static func append(
        _ type: Datatype,
        _ bytes: Span<UInt8>,
        _ position: Int,
        to text: inout [UInt8]
    ) -> Bool {
        switch type {
        case .bool: text.append(bytes[position] == 0 ? "false" : "true")
        case .uint8, .uint16, .uint32, .uint64:
            text.append(decimal: bits(bytes, position, type.size ?? 1))
        case .int8, .int16, .int32, .int64:
            let size = type.size ?? 1
            let shift = UInt64(64 - 8 * size)
            let number = Int64(bitPattern: bits(bytes, position, size) << shift) >> Int64(shift)
            if number < 0 { text.append(UInt8(ascii: "-")) }
            text.append(decimal: number.magnitude)
        case .fp16, .bf16, .fp32, .fp64:
            guard let number = number(type, bytes, position) else { return false }
            text.append(jsonNumber: number)
        case .bytes: return false
        }
        return true
    }

    /// Appends the bytes of an element that JSON text stands for, which was checked for its type.
    package static func pack(_ type: Datatype, _ text: Span<UInt8>, to bytes: inout [UInt8]) {
        let bits: UInt64
        switch type {
        case .bool: bits = text[0] == UInt8(ascii: "t") ? 1 : 0
        case .fp16: bits = half(JSONNumber.double(text))
        case .bf16: bits = bfloat(JSONNumber.double(text))
        case .fp32: bits = UInt64(Float(JSONNumber.double(text)).bitPattern)
        case .fp64: bits = JSONNumber.double(text).bitPattern
        case .bytes:
            let contents = text.extracting(1..<text.count - 1)
            let plain = JSONText.unescaped(contents)
            return append(plain.span, to: &bytes)
        default:
            bits = UInt64(truncatingIfNeeded: integer(text) ?? 0)
        }
        append(bits, type.size ?? 1, to: &bytes)
    }

    /// The whole number that the text of a JSON number stands for: `5`, `5.0`, `5e0`; nil: it is
    /// none, or beyond every type.
    static func integer(_ text: Span<UInt8>) -> Datatype.Decimal? {
        guard text.count <= 64 else { return nil }
        if let number = Datatype.Decimal(Bytes.string(text, 0..<text.count)) { return number }
        // With a fraction or an exponent: exact as far as a double is.
        return Datatype.Decimal(exactly: JSONNumber.double(text))
    }

    /// Appends the lowest bytes of a number, the lowest first.
    package static func append(_ bits: UInt64, _ count: Int, to bytes: inout [UInt8]) {
        for offset in 0..<count {
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(8 * offset)))
        }
    }
}
