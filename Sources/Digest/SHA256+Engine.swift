// How blocks are compressed: in plain Swift, four texts side by side, or by the processor's own
// instructions. All give the same digests; they differ in time only.

import CLinux

extension SHA256 {
    /// A way to compress blocks.
    public enum Engine: Sendable, CaseIterable {
        /// One text after the other.
        case scalar
        /// Four texts at a time in vector registers; a single text as `scalar` does.
        case lanes
        /// Instructions for SHA-256, one text after the other; x86-64 only.
        case instructions

        /// The fastest of this machine.
        public static let best: Engine =
            clinux_sha256_is_available() ? .instructions : .lanes

        /// Those that this machine has.
        public static var available: [Engine] {
            allCases.filter { $0 != .instructions || best == .instructions }
        }
    }
}

extension SHA256.Engine {
    /// Hashes one block into a state.
    func compress(_ state: inout [8 of UInt32], _ block: [16 of UInt32]) {
        guard self == .instructions else {
            var block = block
            return SHA256.compress(&state, &block)
        }
        func words(_ at: Int) -> SIMD4<UInt32> {
            SIMD4(block[at], block[at + 1], block[at + 2], block[at + 3])
        }
        let hashed = clinux_sha256_compress(
            clinux_sha256_state(
                abcd: SIMD4(state[0], state[1], state[2], state[3]),
                efgh: SIMD4(state[4], state[5], state[6], state[7])
            ),
            words(0),
            words(4),
            words(8),
            words(12)
        )
        for index in 0..<4 {
            state[index] = hashed.abcd[index]
            state[4 + index] = hashed.efgh[index]
        }
    }
}
