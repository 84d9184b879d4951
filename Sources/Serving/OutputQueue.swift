// The answers of a connection on their way out: first those in the slot, then one that did not fit.

import Bytes
import Platform

/// What of a connection's output the kernel has, and what it does not have yet.
struct OutputQueue: ~Copyable {
    private let slot: Slot
    private let state: HostState
    /// Bytes of the slot's output that the kernel has taken. A successor asks the kernel for it.
    private var cursor = 0
    /// Bytes of an answer that did not fit into the slot, and how many of them the kernel has
    /// taken.
    private var spilled: [UInt8] = []
    private var spilledCursor = 0
    /// Counts the sends that the kernel took something of.
    private(set) var progress = 0

    init(_ slot: Slot, _ state: HostState) {
        self.slot = slot
        self.state = state
    }

    /// Whether an answer lies on the heap: no further one is made before it is sent.
    var isSpilled: Bool { !spilled.isEmpty }
    /// Whether nothing waits.
    var isEmpty: Bool { slot.word.output == 0 && spilled.isEmpty }

    /// Whether an answer of this length has its place in the slot.
    func hasRoom(_ count: Int) -> Bool {
        !isSpilled && count <= slot.outputRoom
    }

    /// Puts an answer that has no room in the slot on the heap.
    mutating func spill(_ bytes: Span<UInt8>) {
        slot.note(.spilled)
        spilled.reserveCapacity(bytes.count)
        spilled.append(bytes)
        state.memory.countAnswer(spilled.capacity)
    }

    /// Gives up on what lies on the heap.
    mutating func forgetSpilled() {
        if !spilled.isEmpty { state.memory.countAnswer(-spilled.capacity) }
        spilled = []
        spilledCursor = 0
    }

    /// Goes on where a predecessor has stopped; `written` is what the kernel has ever taken.
    /// False: that cannot be.
    mutating func resume(written: UInt32) -> Bool {
        guard slot.word.output > 0 else {
            slot.outputBase = written
            return true
        }
        cursor = Int(written &- slot.outputBase)
        guard cursor <= slot.word.output else { return false }
        noteSent()
        return true
    }

    /// Gives the kernel what it takes; what came of it: `moved` when nothing is left.
    mutating func flush(to socket: borrowing FileDescriptor) -> IOResult {
        while slot.word.output > 0 {
            let result = slot.sendOutput(to: socket, from: cursor)
            guard case .moved(let count) = result else { return result }
            cursor += count
            progress += 1
            noteSent()
        }
        while spilledCursor < spilled.count {
            let result = Socket.send(spilled, from: spilledCursor, to: socket)
            guard case .moved(let count) = result else { return result }
            spilledCursor += count
            progress += 1
        }
        if spilledCursor > 0 {
            slot.advanceOutputBase(by: UInt32(truncatingIfNeeded: spilledCursor))
            forgetSpilled()
        }
        return .moved(0)
    }

    /// Empties the slot's output once the kernel has all of it.
    private mutating func noteSent() {
        var word = slot.word
        guard cursor == word.output else { return }
        // First "nothing is in flight", then where the next answer begins: never the other way.
        word.output = 0
        slot.word = word
        slot.advanceOutputBase(by: UInt32(truncatingIfNeeded: cursor))
        cursor = 0
    }
}
