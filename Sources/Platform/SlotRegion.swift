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

/// What must change together: one 64-bit word.
package struct CommitWord: Equatable, Sendable, BitwiseCopyable {
    /// The raw bits: received 16, start 15, end 15, output 16, executing 1 (from the low end).
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
    /// The connection ends once the answers in the slot are sent.
    package static let closeAfterOutput = SlotFlags(rawValue: 2)
    /// The client has finished sending.
    package static let inputEnded = SlotFlags(rawValue: 4)
    /// The connection is a Unix socket's: the kernel keeps no count of its bytes.
    package static let isLocal = SlotFlags(rawValue: 8)
    /// Bytes are on their way between the kernel and the slot of a Unix socket, and no store says
    /// yet how many: a successor cannot go on with it.
    package static let isInCall = SlotFlags(rawValue: 16)
    /// An answer that did not fit into the slot is on its way from the heap of the loop.
    package static let outputSpilled = SlotFlags(rawValue: 32)
    /// The worker has let go of the connection, which goes on with its successor.
    package static let handedOver = SlotFlags(rawValue: 64)
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
    var reserved: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
}

/// The mapped memory that holds every connection's slot.
///
/// SAFETY: `headers` and `buffers` point into `region`, which this object keeps mapped. Slot `i` is
/// touched by one thread at a time: by the acceptor while its life is free or closed, by the loop
/// that it was handed to while it is live. The hand-over goes through a mailbox (a lock) one way
/// and through the atomic `life` (release, acquire) the other way.
@safe
package final class SlotRegion: @unchecked Sendable {
    /// Changes with every change of the layout; a successor of another layout does not adopt.
    package static let layoutVersion: UInt64 = 2
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
                body(word * 64 + bits.trailingZeroBitCount)
                bits &= bits - 1
            }
        }
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

/// One connection's slot, as its owner sees it.
///
/// SAFETY: the pointers are those of slot `index` of a region that its host keeps mapped for as
/// long as loops run: a slot does not keep it, since counting references was a part of every
/// request. The header is 128 bytes, the input 32,768, the output 32,768 bytes long, and every
/// access below is bounded by these. Only the slot's owner holds one (see `SlotRegion`).
@safe
package struct Slot: BitwiseCopyable {
    /// Which slot it is.
    package let index: Int
    private let header: UnsafeMutableRawPointer
    private let input: UnsafeMutableRawPointer
    private let output: UnsafeMutableRawPointer

    @unsafe
    init(
        index: Int,
        header: UnsafeMutableRawPointer,
        input: UnsafeMutableRawPointer,
        output: UnsafeMutableRawPointer
    ) {
        self.index = index
        unsafe self.header = header
        unsafe self.input = input
        unsafe self.output = output
    }

    enum LifeAccess {
        case load
        case store(SlotLife)
    }

    @discardableResult
    func atomicLife(_ access: LifeAccess) -> UInt32 {
        let life = unsafe header.assumingMemoryBound(to: Atomic<UInt32>.self)
        switch access {
        case .load:
            // Acquire: what the loop wrote before it closed the slot is seen by who frees it.
            return unsafe life.pointee.load(ordering: .acquiring)
        case .store(let value):
            unsafe life.pointee.store(value.rawValue, ordering: .releasing)
            return value.rawValue
        }
    }

    /// Whose the slot is.
    package var life: SlotLife {
        get { SlotLife(rawValue: atomicLife(.load)) ?? .closed }
        nonmutating set { atomicLife(.store(newValue)) }
    }

    /// The commit word. Everything that a new word refers to is in the slot before it is stored.
    package var word: CommitWord {
        get {
            CommitWord(
                bits: unsafe header.advanced(by: 8).assumingMemoryBound(to: Atomic<UInt64>.self)
                    .pointee.load(ordering: .relaxed)
            )
        }
        nonmutating set {
            // Release keeps the compiler from moving the data's stores behind this one. On x86-64
            // it is a plain store. A dead process needs no more: all of its earlier stores count.
            unsafe header.advanced(by: 8).assumingMemoryBound(to: Atomic<UInt64>.self)
                .pointee.store(newValue.bits, ordering: .releasing)
        }
    }

    private func field<T: BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
        unsafe header.load(fromByteOffset: offset, as: type)
    }

    private func setField<T: BitwiseCopyable>(_ offset: Int, _ value: T) {
        unsafe header.storeBytes(of: value, toByteOffset: offset, as: T.self)
    }

    /// Counts the connections that have used this slot.
    package var generation: UInt32 {
        get { field(4, as: UInt32.self) }
        nonmutating set { setField(4, newValue) }
    }
    /// Requests taken from this connection.
    package var sequence: UInt64 {
        get { field(16, as: UInt64.self) }
        nonmutating set { setField(16, newValue) }
    }
    /// Bytes sent before the first byte of the output buffer, modulo 2^32.
    package var outputBase: UInt32 {
        get { field(24, as: UInt32.self) }
        nonmutating set { setField(24, newValue) }
    }
    /// How many workers died of a fault while executing the request.
    package var faults: UInt32 {
        get { field(32, as: UInt32.self) & 0xffff }
        nonmutating set { setField(32, field(32, as: UInt32.self) & ~0xffff | newValue & 0xffff) }
    }
    /// How many workers were killed while executing the request.
    package var kills: UInt32 {
        get { field(32, as: UInt32.self) >> 16 }
        nonmutating set { setField(32, field(32, as: UInt32.self) & 0xffff | newValue << 16) }
    }
    /// What was decided for the request that is being executed.
    package var verdict: SlotVerdict {
        get { SlotVerdict(rawValue: field(36, as: UInt32.self)) ?? .innocent }
        nonmutating set { setField(36, newValue.rawValue) }
    }
    /// Forgets what happened to the request before the next one. One store.
    package func forgetAttempts() { setField(32, UInt64(0)) }
    /// Whether the request at hand was begun by a worker that has died.
    package var isRerun: Bool { field(32, as: UInt32.self) != 0 }

    /// The connection and the request that is at hand, or was last.
    package var key: UInt64 { connection << 24 | sequence & 0xff_ffff }

    /// Length of the request being executed.
    package var requestLength: UInt32 {
        get { field(28, as: UInt32.self) }
        nonmutating set { setField(28, newValue) }
    }
    /// Facts about the connection.
    package var flags: SlotFlags {
        get { SlotFlags(rawValue: field(40, as: UInt32.self)) }
        nonmutating set { setField(40, newValue.rawValue) }
    }
    // Functions and not `flags.insert(…)`: changing a property in place, of a slot that is held by
    // a value that cannot be copied, breaks the compiler under ThreadSanitizer.

    /// Notes a fact about the connection.
    package func note(_ fact: SlotFlags) {
        setField(40, field(40, as: UInt32.self) | fact.rawValue)
    }

    /// Counts bytes that were sent from the output buffer.
    package func advanceOutputBase(by bytes: UInt32) {
        setField(24, outputBase &+ bytes)
    }

    /// The loop that serves the connection.
    package var loop: UInt32 {
        get { field(44, as: UInt32.self) }
        nonmutating set { setField(44, newValue) }
    }
    /// When the connection last did something; monotonic nanoseconds.
    package var activeNanoseconds: UInt64 {
        get { field(56, as: UInt64.self) }
        nonmutating set { setField(56, newValue) }
    }
    /// The connection's number, never used twice.
    package var connection: UInt64 { field(64, as: UInt64.self) }

    /// Makes the slot a new connection's. Called by the acceptor on a free slot.
    package func begin(
        connection: UInt64,
        loop: Int,
        isLocal: Bool = false,
        at nanoseconds: UInt64
    ) {
        var fresh = SlotHeader()
        fresh.life = SlotLife.live.rawValue
        if isLocal { fresh.flags = SlotFlags.isLocal.rawValue }
        fresh.generation = generation &+ 1
        fresh.loop = UInt32(loop)
        fresh.acceptedNanoseconds = nanoseconds
        fresh.activeNanoseconds = nanoseconds
        fresh.connection = connection
        unsafe header.storeBytes(of: fresh, as: SlotHeader.self)
    }

    // MARK: Input

    /// Lends the bytes that were received and not yet consumed.
    package func withInput<R>(_ body: (Span<UInt8>) -> R) -> R {
        let word = word
        let bytes = unsafe UnsafeRawBufferPointer(
            start: input + word.start,
            count: max(0, word.end - word.start)
        )
        return unsafe body(Span(_unsafeBytes: bytes))
    }

    /// Receives into the free room and commits what came.
    package func receive(from socket: borrowing FileDescriptor) -> IOResult {
        var word = word
        if word.start == word.end, word.start != 0 {
            // Back to the front, by a commit of its own: never together with new bytes.
            word.start = 0
            word.end = 0
            self.word = word
        }
        let room = SlotRegion.inputCapacity - word.end
        precondition(room > 0, "there is room for input")
        let (number, target) = unsafe (socket.number, input + word.end)
        let isLocal = beginCall()
        let result = unsafe RawSocket.receive(number, target, room)
        if case .moved(let count) = result {
            word.received &+= UInt16(truncatingIfNeeded: count)
            word.end += count
            self.word = word
        }
        if isLocal { endCall() }
        return result
    }

    /// Notes that the kernel is about to be asked, where it keeps no count; whether that is so.
    package func beginCall() -> Bool {
        let flags = field(40, as: UInt32.self)
        guard flags & SlotFlags.isLocal.rawValue != 0 else { return false }
        setFlagBits(flags | SlotFlags.isInCall.rawValue)
        return true
    }

    /// Notes that the slot says again what the kernel has done.
    package func endCall() {
        setFlagBits(field(40, as: UInt32.self) & ~SlotFlags.isInCall.rawValue)
    }

    /// Stores the flags, in the order of the program.
    private func setFlagBits(_ bits: UInt32) {
        unsafe header.advanced(by: 40).assumingMemoryBound(to: Atomic<UInt32>.self)
            .pointee.store(bits, ordering: .releasing)
    }

    /// Moves a half-received request to the front of the buffer, if nothing of it is overwritten.
    ///
    /// Returns false when source and target overlap: a death in the middle of the copy would then
    /// leave neither.
    package func compactInput() -> Bool {
        var word = word
        let length = word.end - word.start
        guard word.start >= length else { return false }
        unsafe input.copyMemory(from: input + word.start, byteCount: length)
        word.start = 0
        word.end = length
        self.word = word
        return true
    }

    /// Puts bytes that were received elsewhere (a spilled request's remainder) into an empty
    /// buffer.
    package func restoreInput(_ bytes: Span<UInt8>) {
        precondition(bytes.count <= SlotRegion.inputCapacity, "the remainder fits")
        var word = word
        for index in bytes.indices {
            unsafe input.storeBytes(of: bytes[index], toByteOffset: index, as: UInt8.self)
        }
        word.start = 0
        word.end = bytes.count
        self.word = word
    }

    // MARK: Output

    /// Room for answers behind those that are there.
    package var outputRoom: Int { SlotRegion.outputCapacity - word.output }

    /// Copies bytes behind the committed output plus `offset`; they count once they are committed.
    package func stageOutput(_ bytes: Span<UInt8>, at offset: Int) {
        let place = word.output + offset
        precondition(place + bytes.count <= SlotRegion.outputCapacity, "the answer fits")
        unsafe bytes.withUnsafeBytes { source in
            guard let address = source.baseAddress else { return }
            unsafe (output + place).copyMemory(from: address, byteCount: source.count)
        }
    }

    /// Sends what is committed from `cursor` on. The cursor is the caller's own: a successor finds
    /// it again from the kernel's counters.
    package func sendOutput(to socket: borrowing FileDescriptor, from cursor: Int) -> IOResult {
        let length = word.output - cursor
        precondition(cursor >= 0 && length > 0, "there is something to send")
        return unsafe RawSocket.send(socket.number, output + cursor, length)
    }
}
