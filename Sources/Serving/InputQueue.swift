// The bytes of a connection that are not answered yet: in its slot, or, when a request does not fit
// there, on the heap.

import Bytes
import HTTP
import Platform

/// A connection's input.
struct InputQueue: ~Copyable {
    private let slot: Slot
    private let state: HostState
    private let spares: SpareBuffers
    /// What did not fit into the slot, from `start` on; nil while the slot holds everything.
    private var spilled: [UInt8]?
    private var start = 0
    private var counted = 0
    /// Bytes that were admitted for this connection's large request, and from where.
    private var admitted = 0
    private var address = ""
    /// Whether the client has finished sending.
    private(set) var hasEnded = false
    /// Counts the receives that brought something.
    private(set) var progress = 0

    /// What the memory of an array is aligned to, in bytes, and tensors are to be.
    private static let alignment = 16

    /// With less room than this a buffer grows before it receives.
    private static let receiveBytesMinimum = 4096

    /// Bytes that one receive takes to the heap.
    private static let spilledReceiveBytes = 256 * 1024

    init(_ slot: Slot, _ state: HostState, _ spares: SpareBuffers) {
        self.slot = slot
        self.spares = spares
        self.state = state
    }

    /// Whether the input lies on the heap.
    var isSpilled: Bool { spilled != nil }

    /// Bytes that wait for an answer.
    var count: Int {
        if let spilled { return spilled.count - start }
        return slot.word.end - slot.word.start
    }

    /// Whether there is nothing that waits for an answer.
    var isEmpty: Bool {
        if let spilled { return spilled.count == start }
        return slot.word.start == slot.word.end
    }

    /// Lends what is there.
    func withBytes<R>(_ body: (Span<UInt8>) -> R) -> R {
        if let spilled { return body(spilled.span.extracting(start..<spilled.count)) }
        return slot.withInput(body)
    }

    /// Bytes that the connection holds on the heap.
    var heldBytes: Int { counted }

    /// Makes sure that what the next receive needs may be held; false: the host does not want to
    /// give it now.
    ///
    /// - Parameter request: what is known of the request at the front.
    mutating func admit(_ request: RequestHead?, from socket: borrowing FileDescriptor) -> Bool {
        guard isSpilled || slotIsFull else { return true }
        var wanted = SlotRegion.inputCapacity + Self.spilledReceiveBytes
        if let request, case .length(let content) = request.framing {
            wanted = max(wanted, request.length + content + Self.slackBytes)
        }
        if let spilled, spilled.count - start + Self.receiveBytesMinimum > wanted {
            // In chunks: nobody knows how many.
            wanted = 2 * spilled.count
        }
        guard wanted > admitted else { return true }
        if admitted == 0 { address = Socket.peerText(of: socket) }
        guard state.memory.admit(wanted - admitted, from: address) else { return false }
        admitted = wanted
        return true
    }

    private static let slackBytes = alignment + receiveBytesMinimum

    /// Whether the slot is full of one request.
    private var slotIsFull: Bool {
        let word = slot.word
        return word.end == SlotRegion.inputCapacity && word.start == 0
    }

    /// Takes what the client has sent.
    ///
    /// - Parameter request: what is known of the request at the front.
    mutating func receive(
        from socket: borrowing FileDescriptor,
        at now: UInt64,
        expecting request: RequestHead?
    ) -> IOResult {
        makeRoom(for: request)
        let result =
            spilled == nil ? slot.receive(from: socket) : receiveSpilled(from: socket)
        switch result {
        case .moved:
            progress += 1
            slot.activeNanoseconds = now
        case .endOfStream:
            hasEnded = true
            slot.note(.inputEnded)
        case .wouldBlock, .failed: break
        }
        return result
    }

    private mutating func receiveSpilled(from socket: borrowing FileDescriptor) -> IOResult {
        guard var bytes = spilled else { return .wouldBlock }
        spilled = nil
        // What was answered goes; a few bytes before a request are there on purpose.
        if start >= Self.alignment {
            bytes.removeFirst(start)
            start = 0
        }
        // It grows by doubling, but not beyond what was admitted.
        if bytes.capacity - bytes.count < Self.receiveBytesMinimum {
            let least = bytes.count + Self.receiveBytesMinimum
            bytes.reserveCapacity(max(least, min(2 * bytes.count, admitted)))
        }
        // What is reserved for the request is filled before anything grows.
        let room = bytes.capacity - bytes.count
        let result = Socket.receive(
            from: socket,
            into: &bytes,
            maximum: min(room, Self.spilledReceiveBytes)
        )
        spilled = bytes
        count(bytes.capacity)
        if case .moved(let count) = result {
            var word = slot.word
            word.received &+= UInt16(truncatingIfNeeded: count)
            slot.word = word
        }
        return result
    }

    /// Makes sure that there is room to receive into: in the slot, or on the heap.
    private mutating func makeRoom(for request: RequestHead?) {
        guard spilled == nil else { return }
        let word = slot.word
        guard word.end == SlotRegion.inputCapacity, word.start != word.end else { return }
        if slot.compactInput() { return }
        slot.note(.spilled)
        var bytes: [UInt8] = []
        // Room for the whole request, and its tensors where models may read them as they are.
        if let request, case .length(let content) = request.framing {
            // No more than a spare buffer is: what was promised has not come yet.
            let whole =
                request.length + min(content, SpareBuffers.bytesMaximum) + Self.slackBytes
            bytes = spares.take(capacity: min(whole, SpareBuffers.bytesMaximum))
            let place = request.length + (request.inferenceHeaderLength ?? 0)
            start = -place & (Self.alignment - 1)
            for _ in 0..<start { bytes.append(0) }
        }
        slot.withInput { bytes.append($0) }
        spilled = bytes
        count(bytes.capacity)
        var empty = slot.word
        empty.start = 0
        empty.end = 0
        slot.word = empty
    }

    /// Takes bytes off the input, as far as they lie in the slot: the caller stores the word.
    func consume(_ count: Int, noting word: inout CommitWord) {
        if spilled == nil { word.start += count }
    }

    /// Takes bytes off the input, as far as they lie on the heap, and goes back to the slot when
    /// that is possible. True: nothing lies on the heap any more.
    mutating func finishConsuming(_ count: Int) -> Bool {
        guard let bytes = spilled?.count else { return true }
        start += count
        guard bytes - start <= SlotRegion.inputCapacity else { return false }
        withBytes { slot.restoreInput($0) }
        forgetSpilled()
        return true
    }

    /// Tells the host that nothing of this connection lies on the heap.
    mutating func forgetSpilled() {
        spares.take(back: &spilled)
        start = 0
        count(0)
        state.memory.leave(admitted, from: address)
        admitted = 0
    }

    /// Tells the host how many bytes of this connection lie on the heap.
    private mutating func count(_ bytes: Int) {
        state.memory.count(bytes - counted)
        counted = bytes
    }
}
