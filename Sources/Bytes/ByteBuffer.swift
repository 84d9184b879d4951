// Bytes that grow: what answers and records are built in.
//
// Why not an array: every append to one asks whether its storage is its own, and an array that is
// a property of an object is asked about overlapping accesses too; forty appends a request made
// that a quarter of its instructions. This buffer cannot be copied, so nobody has to ask.

/// A growing run of bytes with one owner. It keeps its memory when it is cleared.
///
/// SAFETY: `base` is allocated here with `room` bytes, replaced only in `grow` and `clear`, and
/// freed in `deinit`; being noncopyable, the buffer has one owner, so nobody else holds `base`
/// beyond a call. The first `used` bytes are initialized. Every write goes through `reserve`, which
/// makes room first, and every read is checked against `used`.
@safe
public struct ByteBuffer: ~Copyable {
    @usableFromInline var base: UnsafeMutablePointer<UInt8>
    @usableFromInline var room: Int
    @usableFromInline var used = 0

    /// Bytes that have room.
    @inlinable
    public var capacity: Int { room }

    /// Bytes that are there.
    @inlinable
    public var count: Int { used }

    /// An empty buffer with room for `capacity` bytes.
    public init(capacity: Int = 256) {
        precondition(capacity > 0, "a buffer has room for something")
        unsafe base = .allocate(capacity: capacity)
        room = capacity
    }

    deinit {
        unsafe base.deallocate()
    }

    /// Whether nothing is there.
    @inlinable
    public var isEmpty: Bool { count == 0 }

    /// Where the bytes are, as a range.
    @inlinable
    public var indices: Range<Int> { 0..<count }

    /// Lends the bytes.
    @inlinable
    public func withSpan<R: ~Copyable, E: Error>(
        _ body: (Span<UInt8>) throws(E) -> R
    ) throws(E) -> R {
        unsafe try body(Span(_unsafeStart: base, count: count))
    }

    /// One byte.
    @inlinable
    public subscript(index: Int) -> UInt8 {
        get {
            precondition(index >= 0 && index < count, "the byte is there")
            return unsafe base[index]
        }
        set {
            precondition(index >= 0 && index < count, "the byte is there")
            unsafe base[index] = newValue
        }
    }

    /// Takes bytes off the end.
    public mutating func removeLast(_ bytes: Int) {
        precondition(bytes >= 0 && bytes <= used, "the bytes are there")
        used -= bytes
    }

    /// Forgets the bytes and keeps the memory.
    @inlinable
    public mutating func clear() {
        used = 0
    }

    /// Forgets the bytes, and gives the memory back if it is more than `bytes`.
    public mutating func clear(keeping bytes: Int) {
        used = 0
        guard room > bytes else { return }
        unsafe base.deallocate()
        room = min(room, 4096)
        unsafe base = .allocate(capacity: room)
    }

    /// Makes room for further bytes and counts them; the caller writes them at once.
    @inlinable
    @inline(__always)
    mutating func reserve(_ bytes: Int) -> UnsafeMutablePointer<UInt8> {
        if capacity - count < bytes { grow(by: bytes) }
        defer { used += bytes }
        return unsafe base + count
    }

    @usableFromInline
    mutating func grow(by bytes: Int) {
        let wanted = max(capacity * 2, count + bytes)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: wanted)
        unsafe larger.update(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = unsafe larger
        room = wanted
    }

    // MARK: Appending

    /// Appends one byte.
    @inlinable
    public mutating func append(_ byte: UInt8) {
        unsafe reserve(1).pointee = byte
    }

    /// Appends the bytes of a span.
    @inlinable
    public mutating func append(_ bytes: Span<UInt8>) {
        let target = unsafe reserve(bytes.count)
        unsafe bytes.withUnsafeBufferPointer { source in
            guard let start = source.baseAddress else { return }
            unsafe target.update(from: start, count: source.count)
        }
    }

    /// Appends the bytes of an array.
    @inlinable
    public mutating func append(contentsOf bytes: [UInt8]) {
        append(bytes.span)
    }

    /// Appends the bytes of another buffer.
    @inlinable
    public mutating func append(_ other: borrowing ByteBuffer) {
        let target = unsafe reserve(other.count)
        unsafe target.update(from: other.base, count: other.count)
    }

    /// Appends text that stands in the program: no string is made.
    @inlinable
    @inline(__always)
    public mutating func append(literal text: StaticString) {
        precondition(text.hasPointerRepresentation, "the text is a string's literal")
        let target = unsafe reserve(text.utf8CodeUnitCount)
        unsafe target.update(from: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// Appends the UTF-8 of a string.
    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { unsafe append(Span(_unsafeElements: $0)) }
    }

    /// Appends an unsigned number in decimal, with leading zeros up to `width` digits.
    @inlinable
    public mutating func append(decimal number: UInt64, width: Int = 1) {
        if number < 10, width == 1 { return append(UInt8(truncatingIfNeeded: 48 + number)) }
        var digits = 1
        var limit: UInt64 = 10
        while digits < 19, number >= limit {
            digits += 1
            limit &*= 10
        }
        if digits == 19, number >= limit { digits = 20 }
        digits = max(digits, width)
        let target = unsafe reserve(digits)
        var rest = number
        var place = digits
        while place > 0 {
            place -= 1
            unsafe target[place] = UInt8(truncatingIfNeeded: 48 + rest % 10)
            rest /= 10
        }
    }
}

extension ByteBuffer {
    /// A copy of the bytes.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        withSpan { bytes.append($0) }
        return bytes
    }
}
