// Searching a text sixteen bytes at a time: the step under strings, numbers and space.

/// Sixteen bytes of a text.
typealias Block = SIMD16<UInt8>

/// For each byte of a block, whether something holds of it.
typealias BlockMask = SIMDMask<SIMD16<Int8>>

// The comparisons spell their types out: with a plain number on the right, or without a type for
// the result, the compiler takes the ones that go through the bytes one by one.
extension Block {
    @inline(__always)
    func equals(_ byte: UInt8) -> BlockMask { self .== Block(repeating: byte) }

    @inline(__always)
    func isBelow(_ byte: UInt8) -> BlockMask { self .< Block(repeating: byte) }

    @inline(__always)
    func isAtLeast(_ byte: UInt8) -> BlockMask { self .>= Block(repeating: byte) }

    /// The number of each byte.
    @inline(__always)
    static var numbers: Block { Block(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) }
}

extension BlockMask {
    /// The number of the first byte that it holds of, or 16.
    @inline(__always)
    var first: Int {
        let (low, high) = words
        if low != 0 { return low.trailingZeroBitCount &>> 3 }
        return 8 &+ high.trailingZeroBitCount &>> 3
    }

    /// Whether it holds of any byte.
    @inline(__always)
    var isAny: Bool { words.low | words.high != 0 }
}

extension Span<UInt8> {
    /// The first place from `position` on where `test` holds, or the end of the text.
    @inline(__always)
    func firstIndex(from position: Int, where test: (Block) -> BlockMask) -> Int {
        var position = position
        while count &- position >= 16 {
            let (low, high) = test(block(at: position)).words
            if low != 0 { return position &+ low.trailingZeroBitCount &>> 3 }
            if high != 0 { return position &+ 8 &+ high.trailingZeroBitCount &>> 3 }
            position &+= 16
        }
        return firstIndexInLastBytes(from: position, where: test)
    }

    /// The same for the last bytes of the text, fewer than a block.
    @inline(never)
    private func firstIndexInLastBytes(
        from position: Int,
        where test: (Block) -> BlockMask
    ) -> Int {
        guard position < count else { return count }
        if count >= 16 {
            // The block that ends with the text has them too, behind others.
            let start = count &- 16
            let others = UInt8(truncatingIfNeeded: position &- start)
            return start &+ (test(block(at: start)) .& Block.numbers.isAtLeast(others)).first
        }
        var block = Block()
        for index in position..<count { block[index - position] = self[index] }
        return Swift.min(position + test(block).first, count)
    }
}
