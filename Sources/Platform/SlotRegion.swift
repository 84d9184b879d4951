// Connection slots: all that another loop, or another process, needs to go on with a connection.
//
// A slot is plain data in shared memory: no pointer, no reference, monotonic nanoseconds. Its rule
// is "data first, then one store": bytes are received straight into the slot, answers are written
// straight into it, and only then does one 64-bit store, the commit word, say that they are there.
// A loop that is abandoned between two instructions therefore leaves the word of before or of
// after, and what the kernel did in between can be asked from the kernel (`Socket.counters`).
//
// The headers lie densely in one array, apart from the buffers: a successor that looks for live
// slots touches 128 bytes a slot instead of 64 KiB.
//
// The request is consumed by the same store that says "the answer exists". So a request is executed
// at least once and answered exactly once.

import CLinux
import Synchronization

/// The mapped memory that holds every connection's slot.
///
/// SAFETY: `headers` and `buffers` point into `region`, which this object keeps mapped. Slot `i` is
/// touched by one thread at a time: by the acceptor while its life is free or closed, by the loop
/// that it was handed to while it is live. The hand-over goes through a mailbox (a lock) one way
/// and through the atomic `life` (release, acquire) the other way.
@safe
package final class SlotRegion: @unchecked Sendable {
    /// Changes with every change of the layout; a successor of another layout does not adopt.
    package static let layoutVersion: UInt64 = 3
    /// Bytes of the input buffer that are used; ends of 15 bits reach no further.
    package static let inputCapacity = 32767
    /// Bytes of the output buffer that are used; a length of 16 bits reaches no further.
    package static let outputCapacity = 65535 - 32768
    static let bufferStride = 65536
    static let headerStride = 128
    static let pageBytes = 4096
    static let magic: UInt64 = 0x31_54_4f_4c_53_59_57_53  // "SWYSLOT1"

    /// How many connections there can be at once.
    package let count: Int
    /// A number of its own for each region, which the ids of requests begin with: they stay what
    /// they are when another worker goes on.
    package let seed: UInt64
    private let region: MappedRegion
    private let leavings: UnsafeMutablePointer<UInt64>
    let headers: UnsafeMutableRawPointer
    let buffers: UnsafeMutableRawPointer

    /// Maps room for `count` slots; memory is taken only by slots that are used.
    package convenience init(count: Int) throws(SystemError) {
        precondition(count > 0 && count <= 1 << 20, "1 to 1,048,576 slots")
        let region = try MappedRegion.anonymous(
            name: "switchyard-slots",
            count: Self.totalBytes(count)
        )
        unsafe region.base.storeBytes(of: Self.magic, as: UInt64.self)
        unsafe region.base.storeBytes(of: Self.layoutVersion, toByteOffset: 8, as: UInt64.self)
        unsafe region.base.storeBytes(of: UInt64(count), toByteOffset: 16, as: UInt64.self)
        let seed = UInt64.random(in: .min ... .max)
        unsafe region.base.storeBytes(of: seed, toByteOffset: 24, as: UInt64.self)
        self.init(region, count)
    }

    /// Maps the region of another process; nil when it is none of this layout.
    package convenience init?(
        adopting descriptor: consuming FileDescriptor
    ) throws(SystemError) {
        let region = try MappedRegion.adopted(descriptor)
        guard region.count > Self.pageBytes else { return nil }
        let magic = unsafe region.base.load(as: UInt64.self)
        let version = unsafe region.base.load(fromByteOffset: 8, as: UInt64.self)
        let count = Int(
            clamping: unsafe region.base.load(fromByteOffset: 16, as: UInt64.self)
        )
        guard magic == Self.magic, version == Self.layoutVersion, count > 0, count <= 1 << 20,
            region.count == Self.totalBytes(count)
        else { return nil }
        self.init(region, count)
    }

    private init(_ region: MappedRegion, _ count: Int) {
        precondition(MemoryLayout<SlotHeader>.size == Self.headerStride, "the slot layout is fixed")
        region.leaveOutOfDumps()
        self.region = region
        self.count = count
        seed = unsafe region.base.load(fromByteOffset: 24, as: UInt64.self)
        let (bitmapBytes, headerBytes) = Self.partBytes(count)
        let start = unsafe region.base + Self.pageBytes
        unsafe leavings = start.bindMemory(to: UInt64.self, capacity: bitmapBytes / 8)
        unsafe headers = start + bitmapBytes
        unsafe buffers = start + bitmapBytes + headerBytes
    }

    /// Bytes of the bitmap of left slots and of the headers, in whole pages.
    private static func partBytes(_ count: Int) -> (bitmap: Int, headers: Int) {
        func pages(_ bytes: Int) -> Int { (bytes + pageBytes - 1) / pageBytes * pageBytes }
        return (pages((count + 63) / 64 * 8), pages(count * headerStride))
    }

    private static func totalBytes(_ count: Int) -> Int {
        let (bitmap, headers) = partBytes(count)
        return pageBytes + bitmap + headers + count * bufferStride
    }

    /// The memory's own descriptor, by which another process can map it.
    package var descriptor: CInt { region.descriptor }

    /// Slots from here on were never used. Only the one who accepts sets it.
    package var used: Int {
        get {
            min(count, Int(clamping: unsafe region.base.load(fromByteOffset: 32, as: UInt64.self)))
        }
        set {
            unsafe region.base.storeBytes(of: UInt64(newValue), toByteOffset: 32, as: UInt64.self)
        }
    }

    // MARK: Left slots

    /// Tells whoever accepts that a loop has left a slot: it is closed or handed over. Stored
    /// behind everything that the loop has to say of the slot.
    package func markLeft(_ index: Int) {
        unsafe clinux_set_bit(leavings, UInt64(index))
    }

    /// Leaves the slot of a connection that is closed.
    package func leave(_ slot: Slot) {
        slot.life = .closed
        markLeft(slot.index)
    }

    /// Takes the slots below `limit` that were left since the last time. For whoever accepts.
    package func takeLeft(below limit: Int, _ body: (Int) -> Void) {
        for word in 0..<(min(limit, count) + 63) / 64 {
            var bits = unsafe clinux_take_bits(leavings + word)
            while bits != 0 {
                let index = word * 64 + bits.trailingZeroBitCount
                if index < min(limit, count) { body(index) }
                bits &= bits - 1
            }
        }
    }

    /// Gives the memory of a slot's buffers back to the system: its connection is closed. The next
    /// one finds zeros.
    package func giveBack(_ index: Int) {
        region.giveBack(at: region.count - (count - index) * Self.bufferStride, Self.bufferStride)
    }

    /// The slot with this number.
    package func slot(_ index: Int) -> Slot {
        precondition(index >= 0 && index < count, "there is no such slot")
        return unsafe Slot(
            index: index,
            header: headers + index * Self.headerStride,
            input: buffers + index * Self.bufferStride,
            output: buffers + index * Self.bufferStride + 32768
        )
    }

    /// Whether a live connection executes the request with this key.
    package func isExecuting(_ key: UInt64) -> Bool {
        (0..<used).contains { index in
            life(index) == .live && slot(index).key == key && slot(index).word.isExecuting
        }
    }

    /// Whose a slot is at the moment.
    package func life(_ index: Int) -> SlotLife {
        SlotLife(rawValue: slot(index).atomicLife(.load)) ?? .closed
    }
}
