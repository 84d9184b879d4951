// SHA-256 (FIPS 180-4), in plain Swift, without allocation while it runs.

/// A running SHA-256 computation. Copying it keeps what was hashed so far: a prefix is hashed once.
public struct SHA256: Sendable {
    private var state: [8 of UInt32]
    private var block: [64 of UInt8]
    private var filled: Int
    private var length: UInt64

    /// Starts with nothing hashed.
    public init() {
        state = [
            0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a,
            0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
        ]
        block = .init(repeating: 0)
        filled = 0
        length = 0
    }

    /// Hashes further bytes.
    public mutating func update(_ bytes: Span<UInt8>) {
        length &+= UInt64(bytes.count)
        for index in bytes.indices {
            block[filled] = bytes[index]
            filled += 1
            if filled == 64 { compress() }
        }
    }

    /// Hashes the UTF-8 of a string.
    public mutating func update(_ text: String) {
        update(Array(text.utf8).span)
    }

    /// The digest of everything that was hashed; this value is used up.
    public consuming func finish() -> [32 of UInt8] {
        finishState()
        var digest = [32 of UInt8](repeating: 0)
        for word in 0..<8 {
            for byte in 0..<4 {
                digest[word * 4 + byte] = UInt8(
                    truncatingIfNeeded: state[word] >> UInt32(24 - 8 * byte)
                )
            }
        }
        return digest
    }

    /// The first eight bytes of the digest as one big-endian number; this value is used up.
    public consuming func finishPrefix() -> UInt64 {
        finishState()
        return UInt64(state[0]) << 32 | UInt64(state[1])
    }

    /// The digest of some bytes as 64 lower-case hexadecimal digits.
    public static func hexText(of bytes: Span<UInt8>) -> String {
        var hash = SHA256()
        hash.update(bytes)
        return hash.finishText()
    }

    /// The digest as 64 lower-case hexadecimal digits; this value is used up.
    public consuming func finishText() -> String {
        let digest = finish()
        var text: [UInt8] = []
        for index in 0..<32 {
            for nibble in [digest[index] >> 4, digest[index] & 15] {
                text.append(nibble < 10 ? 48 + nibble : 87 + nibble)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func finishState() {
        let bits = length &* 8
        block[filled] = 0x80
        filled += 1
        if filled == 64 { compress() }
        while filled != 56 {
            block[filled] = 0
            filled += 1
            if filled == 64 { compress() }
        }
        for byte in 0..<8 {
            block[56 + byte] = UInt8(truncatingIfNeeded: bits >> UInt64(56 - 8 * byte))
        }
        compress()
    }

    private mutating func compress() {
        filled = 0
        var words = [64 of UInt32](repeating: 0)
        for index in 0..<16 {
            words[index] =
                UInt32(block[index * 4]) << 24 | UInt32(block[index * 4 + 1]) << 16
                | UInt32(block[index * 4 + 2]) << 8 | UInt32(block[index * 4 + 3])
        }
        for index in 16..<64 {
            let early = words[index - 15]
            let late = words[index - 2]
            let small0 = rotate(early, 7) ^ rotate(early, 18) ^ early >> 3
            let small1 = rotate(late, 17) ^ rotate(late, 19) ^ late >> 10
            words[index] = words[index - 16] &+ small0 &+ words[index - 7] &+ small1
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for index in 0..<64 {
            let big1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
            let choice = e & f ^ ~e & g
            let first = h &+ big1 &+ choice &+ Self.constants[index] &+ words[index]
            let big0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
            let majority = a & b ^ a & c ^ b & c
            h = g
            g = f
            f = e
            e = d &+ first
            d = c
            c = b
            b = a
            a = first &+ big0 &+ majority
        }
        state[0] &+= a
        state[1] &+= b
        state[2] &+= c
        state[3] &+= d
        state[4] &+= e
        state[5] &+= f
        state[6] &+= g
        state[7] &+= h
    }

    private func rotate(_ word: UInt32, _ bits: UInt32) -> UInt32 {
        word >> bits | word << (32 - bits)
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
