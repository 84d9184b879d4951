// Texts that begin differently and end alike, as the arms of an experiment and a subject do. In
// vector registers each text has a lane, and four take the time of one and a half. An engine with
// instructions for SHA-256 is faster still, and takes one text after the other.
//
// The bytes of arrays in place are read through spans: indexing an array that is a value copies it.

/// Up to four beginnings that are hashed with one ending.
public struct SHA256Group: Sendable {
    /// How many beginnings a group has at most.
    public static let capacity = 4

    private let beginnings: [SHA256]
    /// The beginnings again, where they are hashed side by side.
    private let lanes: SHA256Lanes?

    /// Beginnings in their order, four to a group. All have the engine of the first.
    public static func groups(of beginnings: [SHA256]) -> [SHA256Group] {
        stride(from: 0, to: beginnings.count, by: capacity).map {
            SHA256Group(Array(beginnings[$0...].prefix(capacity)))
        }
    }

    private init(_ beginnings: [SHA256]) {
        self.beginnings = beginnings
        let isSideBySide = beginnings[0].engine == .lanes && beginnings.count > 1
        lanes = isSideBySide ? SHA256Lanes(beginnings) : nil
    }

    /// The first eight bytes of each text's digest as one big-endian number, in the order of the
    /// beginnings.
    public func finishPrefixes(_ ending: Span<UInt8>) -> SIMD4<UInt64> {
        if let lanes { return lanes.finishPrefixes(ending) }
        var prefixes = SIMD4<UInt64>.zero
        for index in beginnings.indices {
            var hash = beginnings[index]
            hash.update(ending)
            prefixes[index] = hash.finishPrefix()
        }
        return prefixes
    }
}

/// Beginnings in the lanes of vector registers. A class, so that no use copies it.
private final class SHA256Lanes: Sendable {
    // A lane that is left over repeats the first.
    private let state: [8 of SIMD4<UInt32>]
    private let rest: [16 of SIMD4<UInt32>]
    private let filled: SIMD4<Int>
    private let length: SIMD4<UInt64>

    init(_ beginnings: [SHA256]) {
        func lanes<Value>(_ value: (SHA256) -> Value) -> SIMD4<Value> {
            var lanes = SIMD4(repeating: value(beginnings[0]))
            for index in beginnings.indices { lanes[index] = value(beginnings[index]) }
            return lanes
        }
        state = [8 of SIMD4<UInt32>] { word in lanes { $0.state[word] } }
        rest = [16 of SIMD4<UInt32>] { word in lanes { SHA256.word(word, of: $0.rest.span) } }
        filled = lanes { $0.filled }
        length = lanes { $0.length }
    }

    func finishPrefixes(_ ending: Span<UInt8>) -> SIMD4<UInt64> {
        var state = state
        // Behind the text come the byte 0x80 and, in 8 bytes, its length: its last block has them.
        let last = SIMD4<Int32>(truncatingIfNeeded: (filled &+ (ending.count + 8)) &>> 6)
        let bits = (length &+ UInt64(ending.count)) &<< 3
        // 64 bytes of the ending and the 64 before: the block of each lane is somewhere in them.
        var window = [128 of UInt8](repeating: 0)
        for index in 0...Int(last.max()) {
            Self.load(index, of: ending, into: &window)
            var block = block(in: window.span)
            if index == 0 { for word in 0..<16 { block[word] |= rest[word] } }
            let isLast = last .== Int32(truncatingIfNeeded: index)
            block[14].replace(with: SIMD4(truncatingIfNeeded: bits &>> 32), where: isLast)
            block[15].replace(with: SIMD4(truncatingIfNeeded: bits), where: isLast)
            var next = state
            SHA256.compress(&next, &block)
            // A text that ended in an earlier block keeps its state.
            let isLive = last .>= Int32(truncatingIfNeeded: index)
            for word in 0..<8 { state[word].replace(with: next[word], where: isLive) }
        }
        return SIMD4(truncatingIfNeeded: state[0]) &<< 32 | SIMD4(truncatingIfNeeded: state[1])
    }

    /// Moves the window on: behind the ending are the byte 0x80 and zeros.
    private static func load(
        _ index: Int,
        of ending: Span<UInt8>,
        into window: inout [128 of UInt8]
    ) {
        if index > 0 {
            for place in 0..<64 {
                window[place] = window[place + 64]
                window[place + 64] = 0
            }
        }
        guard index * 64 <= ending.count else { return }
        let part = ending.extracting((index * 64)...).extracting(first: 64)
        for place in part.indices { window[64 + place] = part[place] }
        if part.count < 64 { window[64 + part.count] = 0x80 }
    }

    /// The block of each lane: the more bytes its beginning left over, the earlier it begins.
    private func block(in window: Span<UInt8>) -> [16 of SIMD4<UInt32>] {
        let start = 64 &- filled
        let a = window.extracting(start[0]..<start[0] + 64)
        let b = window.extracting(start[1]..<start[1] + 64)
        let c = window.extracting(start[2]..<start[2] + 64)
        let d = window.extracting(start[3]..<start[3] + 64)
        return [16 of SIMD4<UInt32>] {
            let (a, b) = (SHA256.word($0, of: a), SHA256.word($0, of: b))
            let (c, d) = (SHA256.word($0, of: c), SHA256.word($0, of: d))
            return SIMD4(a, b, c, d)
        }
    }
}
