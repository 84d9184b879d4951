// One connection's slot: the only door to its bytes. See `SlotRegion` for the rules.

import Synchronization

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
            SlotWatch.store(index)
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
        SlotWatch.store(index)
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
    /// Whether a worker died while it executed the request at hand.
    package var isMarked: Bool { field(32, as: UInt64.self) != 0 }

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
        isBrief: Bool = false,
        at nanoseconds: UInt64
    ) {
        var fresh = SlotHeader()
        fresh.life = SlotLife.live.rawValue
        if isLocal { fresh.flags |= SlotFlags.isLocal.rawValue }
        if isBrief { fresh.flags |= SlotFlags.isBrief.rawValue }
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
        SlotWatch.store(index)
        unsafe header.advanced(by: 40).assumingMemoryBound(to: Atomic<UInt32>.self)
            .pointee.store(bits, ordering: .releasing)
    }

    /// Moves a half-received request to the front of the buffer; false: it lies there already.
    ///
    /// Where source and target overlap it goes in chunks of the gap's length, and each that is done
    /// is noted, so that a successor can finish what was begun (`finishMove`).
    package func compactInput() -> Bool {
        let word = word
        guard word.start > 0 else { return false }
        move = InputMove(
            start: UInt16(word.start),
            length: UInt16(word.end - word.start),
            moved: 0,
            isOpen: 1
        )
        finishMove()
        return true
    }

    /// Finishes a move of the input that was begun, here or by a predecessor.
    package func finishMove() {
        var move = move
        guard move.isOpen == 1, move.start > 0,
            Int(move.start) + Int(move.length) <= SlotRegion.inputCapacity
        else { return }
        let (start, length) = (Int(move.start), Int(move.length))
        while move.moved < move.length {
            let done = Int(move.moved)
            let count = min(start, length - done)
            unsafe (input + done).copyMemory(from: input + start + done, byteCount: count)
            move.moved = UInt16(done + count)
            self.move = move
        }
        var word = word
        word.start = 0
        word.end = length
        self.word = word
        self.move = InputMove()
    }

    private var move: InputMove {
        get { field(72, as: InputMove.self) }
        nonmutating set { setField(72, newValue) }
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
