// SHA-256 (FIPS 180-4), without allocation while it runs. An engine compresses the blocks
// (`SHA256+Engine.swift`); texts that end alike are hashed together (`SHA256Group.swift`).

/// A running SHA-256 computation. Copying it keeps what was hashed so far: a prefix is hashed once.
public struct SHA256: Sendable {
    let engine: Engine
    private(set) var state: [8 of UInt32]
    /// The bytes that do not fill a block yet; zeros behind them.
    private(set) var rest: [64 of UInt8]
    /// How many bytes were hashed, with the rest.
    private(set) var length: UInt64

    /// Starts with nothing hashed. The engine is one of `Engine.available`; it makes no difference
    /// but time.
    public init(engine: Engine = .best) {
        precondition(
            engine != .instructions || Engine.best == .instructions,
            "this machine has no instructions for SHA-256"
        )
        self.engine = engine
        state = [
            0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a,
            0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
        ]
        rest = .init(repeating: 0)
        length = 0
    }

    /// How many bytes the rest has.
    var filled: Int { Int(length % 64) }

    /// Hashes further bytes.
    public mutating func update(_ bytes: Span<UInt8>) {
        var index = 0
        while index < bytes.count {
            let part = bytes.extracting(index...).extracting(first: 64 - filled)
            if part.count == 64 {
                engine.compress(&state, SHA256.block(part))
            } else {
                let filled = filled
                for place in part.indices { rest[filled + place] = part[place] }
                if filled + part.count == 64 { compressRest() }
            }
            length &+= UInt64(part.count)
            index += part.count
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
        rest[filled] = 0x80
        if filled >= 56 { compressRest() }
        var block = SHA256.block(rest.span)
        block[14] = UInt32(truncatingIfNeeded: length >> 29)
        block[15] = UInt32(truncatingIfNeeded: length << 3)
        engine.compress(&state, block)
    }

    private mutating func compressRest() {
        engine.compress(&state, SHA256.block(rest.span))
        rest = .init(repeating: 0)
    }

    /// The first 64 bytes as sixteen words.
    static func block(_ bytes: Span<UInt8>) -> [16 of UInt32] {
        let bytes = bytes.extracting(0..<64)  // one check of bounds instead of 64
        return [16 of UInt32] { word($0, of: bytes) }
    }

    /// The four bytes of a word, which is big-endian.
    @inline(__always)
    static func word(_ index: Int, of bytes: Span<UInt8>) -> UInt32 {
        let first = index * 4
        return UInt32(bytes[first]) << 24 | UInt32(bytes[first + 1]) << 16
            | UInt32(bytes[first + 2]) << 8 | UInt32(bytes[first + 3])
    }
}
