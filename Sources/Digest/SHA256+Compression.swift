// SHA-256's compression function (FIPS 180-4, 6.2.2), written once for a block of one text and for
// blocks of four texts side by side.

/// What the function computes with: a word of one text, or a word of each of several texts.
protocol SHA256Word {
    init(repeating word: UInt32)
    static func &+ (_ one: Self, _ other: Self) -> Self
    static func ^ (_ one: Self, _ other: Self) -> Self
    static func & (_ one: Self, _ other: Self) -> Self
    func shifted(_ bits: UInt32) -> Self
    func rotated(_ bits: UInt32) -> Self
}

extension UInt32: SHA256Word {
    @inline(__always)
    init(repeating word: UInt32) { self = word }

    @inline(__always)
    func shifted(_ bits: UInt32) -> Self { self &>> bits }

    @inline(__always)
    func rotated(_ bits: UInt32) -> Self { self &>> bits | self &<< (32 - bits) }
}

extension SIMD4<UInt32>: SHA256Word {
    @inline(__always)
    func shifted(_ bits: UInt32) -> Self { self &>> Self(repeating: bits) }

    // The product is a shift to the left. Written as one, Swift 6.3 takes the vector apart into
    // four rotations: three times slower.
    @inline(__always)
    func rotated(_ bits: UInt32) -> Self {
        shifted(bits) &+ self &* Self(repeating: 1 &<< (32 - bits))
    }
}

extension SHA256 {
    /// Hashes one block into the state. The words are used up.
    static func compress<Word: SHA256Word>(
        _ state: inout [8 of Word],
        _ words: inout [16 of Word]
    ) {
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for index in stride(from: 0, to: 64, by: 16) {
            round(a, b, c, &d, e, f, g, &h, words[0], index)
            round(h, a, b, &c, d, e, f, &g, words[1], index + 1)
            round(g, h, a, &b, c, d, e, &f, words[2], index + 2)
            round(f, g, h, &a, b, c, d, &e, words[3], index + 3)
            round(e, f, g, &h, a, b, c, &d, words[4], index + 4)
            round(d, e, f, &g, h, a, b, &c, words[5], index + 5)
            round(c, d, e, &f, g, h, a, &b, words[6], index + 6)
            round(b, c, d, &e, f, g, h, &a, words[7], index + 7)
            round(a, b, c, &d, e, f, g, &h, words[8], index + 8)
            round(h, a, b, &c, d, e, f, &g, words[9], index + 9)
            round(g, h, a, &b, c, d, e, &f, words[10], index + 10)
            round(f, g, h, &a, b, c, d, &e, words[11], index + 11)
            round(e, f, g, &h, a, b, c, &d, words[12], index + 12)
            round(d, e, f, &g, h, a, b, &c, words[13], index + 13)
            round(c, d, e, &f, g, h, a, &b, words[14], index + 14)
            round(b, c, d, &e, f, g, h, &a, words[15], index + 15)
            if index < 48 { extend(&words) }
        }
        state[0] = state[0] &+ a
        state[1] = state[1] &+ b
        state[2] = state[2] &+ c
        state[3] = state[3] &+ d
        state[4] = state[4] &+ e
        state[5] = state[5] &+ f
        state[6] = state[6] &+ g
        state[7] = state[7] &+ h
    }

    /// Replaces the sixteen words by those of the next sixteen rounds.
    @inline(__always)
    private static func extend<Word: SHA256Word>(_ words: inout [16 of Word]) {
        for index in 0..<16 {
            let early = words[(index + 1) & 15]
            let late = words[(index + 14) & 15]
            let small0 = early.rotated(7) ^ early.rotated(18) ^ early.shifted(3)
            let small1 = late.rotated(17) ^ late.rotated(19) ^ late.shifted(10)
            words[index] = words[index] &+ small0 &+ words[(index + 9) & 15] &+ small1
        }
    }

    /// One round; instead of moving all eight letters on, the next round names them differently.
    @inline(__always)
    private static func round<Word: SHA256Word>(
        _ a: Word,
        _ b: Word,
        _ c: Word,
        _ d: inout Word,
        _ e: Word,
        _ f: Word,
        _ g: Word,
        _ h: inout Word,
        _ word: Word,
        _ index: Int
    ) {
        let choice = g ^ e & (f ^ g)
        let majority = b ^ (a ^ b) & (b ^ c)
        let big0 = a.rotated(2) ^ a.rotated(13) ^ a.rotated(22)
        let big1 = e.rotated(6) ^ e.rotated(11) ^ e.rotated(25)
        h = h &+ big1 &+ choice &+ Word(repeating: constants[index]) &+ word
        d = d &+ h
        h = h &+ big0 &+ majority
    }

    private static let constants: [64 of UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4,
        0xab1c_5ed5, 0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe,
        0x9bdc_06a7, 0xc19b_f174, 0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f,
        0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da, 0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7,
        0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967, 0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc,
        0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85, 0xa2bf_e8a1, 0xa81a_664b,
        0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070, 0x19a4_c116,
        0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7,
        0xc671_78f2,
    ]
}
