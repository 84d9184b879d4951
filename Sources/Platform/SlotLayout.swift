// What is in a slot's header. The layout is version `SlotRegion.layoutVersion`.

/// What must change together: one 64-bit word.
package struct CommitWord: Equatable, Sendable, BitwiseCopyable {
    /// The raw bits: received 16, start 15, end 15, output 16, executing 1, closing 1
    /// (from the low end).
    package var bits: UInt64

    package init(bits: UInt64 = 0) { self.bits = bits }

    /// How many bytes were ever received, modulo 65,536.
    package var received: UInt16 {
        get { UInt16(truncatingIfNeeded: bits) }
        set { bits = bits & ~0xffff | UInt64(newValue) }
    }
    /// Where the first unconsumed byte lies in the input buffer.
    package var start: Int {
        get { Int(bits >> 16 & 0x7fff) }
        set { bits = bits & ~(0x7fff << 16) | UInt64(newValue) << 16 }
    }
    /// Where the first free byte lies in the input buffer.
    package var end: Int {
        get { Int(bits >> 31 & 0x7fff) }
        set { bits = bits & ~(0x7fff << 31) | UInt64(newValue) << 31 }
    }
    /// How many bytes of answers lie in the output buffer.
    package var output: Int {
        get { Int(bits >> 46 & 0xffff) }
        set { bits = bits & ~(0xffff << 46) | UInt64(newValue) << 46 }
    }
    /// Whether the request at `start` is being executed.
    package var isExecuting: Bool {
        get { bits >> 62 & 1 == 1 }
        set { bits = bits & ~(1 << 62) | (newValue ? 1 << 62 : 0) }
    }
    /// Whether the connection ends once the answers in the slot are sent: said by the store that
    /// says that the last of them exists.
    package var isClosing: Bool {
        get { bits >> 63 == 1 }
        set { bits = bits & ~(1 << 63) | (newValue ? 1 << 63 : 0) }
    }
}

/// A move of the input to the front that was begun: where it lay, how long it is, and how much of
/// it is at the front already. Chunks are no longer than the gap, so a chunk that was moved halfway
/// is moved again from bytes that are still whole.
package struct InputMove: Equatable, Sendable, BitwiseCopyable {
    package var start: UInt16 = 0
    package var length: UInt16 = 0
    package var moved: UInt16 = 0
    /// Whether there is one.
    package var isOpen: UInt16 = 0
}

/// Whose a slot is.
package enum SlotLife: UInt32, Sendable {
    /// Nobody's; only the acceptor takes one.
    case free = 0
    /// A connection's; only its loop touches it.
    case live = 1
    /// Done with; only the acceptor frees it.
    case closed = 2
}

/// Facts about a connection that are not bytes.
package struct SlotFlags: OptionSet, Sendable, BitwiseCopyable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// A request or an answer is larger than the slot and lies on the heap of the loop: a successor
    /// cannot go on with it.
    package static let spilled = SlotFlags(rawValue: 1)
    /// The connection has one of the places that are kept for those who come when all others are
    /// taken: it has one answer, and no time to be idle.
    package static let isBrief = SlotFlags(rawValue: 2)
    /// The client has finished sending.
    package static let inputEnded = SlotFlags(rawValue: 4)
    /// The connection is a Unix socket's: the kernel keeps no count of its bytes.
    package static let isLocal = SlotFlags(rawValue: 8)
    /// Bytes are on their way between the kernel and the slot of a Unix socket, and no store says
    /// yet how many: a successor cannot go on with it.
    package static let isInCall = SlotFlags(rawValue: 16)
}

/// What was decided of the request that is being executed, when its worker has died.
package enum SlotVerdict: UInt32, Sendable {
    /// It is executed again.
    case innocent = 0
    /// Its call has ended the worker.
    case crashed = 1
    /// Its call has not come back.
    case hung = 2
}

/// One slot's header in shared memory. The layout is version `SlotRegion.layoutVersion`.
struct SlotHeader: BitwiseCopyable {
    var life: UInt32 = 0
    var generation: UInt32 = 0
    var word: UInt64 = 0
    /// Requests taken from this connection, the one being executed included.
    var sequence: UInt64 = 0
    /// Bytes ever sent before the first byte of the output buffer, modulo 2^32.
    var outputBase: UInt32 = 0
    /// Length of the request that is being executed.
    var requestLength: UInt32 = 0
    /// How many workers died of a fault, and how many were killed, while executing this request:
    /// the low and the high 16 bits.
    var attempts: UInt32 = 0
    /// What was decided for the request: a `SlotVerdict`.
    var verdict: UInt32 = 0
    var flags: UInt32 = 0
    var loop: UInt32 = 0
    var acceptedNanoseconds: UInt64 = 0
    var activeNanoseconds: UInt64 = 0
    var connection: UInt64 = 0
    /// An `InputMove`.
    var move: UInt64 = 0
    var reserved: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
}
