// How a connection comes from a worker that is gone, waits for a model that is being loaded, and
// goes to the next worker.

import EventLoop
import Platform

extension Connection {
    /// Brings slot and kernel together after a predecessor that left no word. False: hopeless.
    ///
    /// The kernel's counters tell what the predecessor did between its last system call and the
    /// store that should have noted it (research/takeover.md, section 4). Never asked for a fresh
    /// connection: it agrees with its fresh slot, and whatever a counter said wrongly would be read
    /// from what the slot's last owner left.
    func reconcile() -> Bool {
        var word = slot.word
        // A stray write may have been there.
        guard word.start <= word.end, word.end <= SlotRegion.inputCapacity,
            word.output <= SlotRegion.outputCapacity
        else { return false }
        if slot.flags.contains(.spilled) { return false }
        slot.finishMove()
        word = slot.word
        if slot.flags.contains(.isLocal) {
            // Nobody counts its bytes, but outside of a call the slot says what was done.
            if slot.flags.contains(.isInCall) || slot.word.output > 0 { return false }
        } else if let counters = Socket.counters(of: socket) {
            let missed = Int(UInt16(truncatingIfNeeded: counters.consumed) &- word.received)
            guard missed <= SlotRegion.inputCapacity - word.end else { return false }
            word.end += missed
            word.received &+= UInt16(truncatingIfNeeded: missed)
            guard output.resume(written: UInt32(truncatingIfNeeded: counters.written)) else {
                return false
            }
            word.output = slot.word.output
        } else if word != CommitWord() {
            return false
        }
        // A request that was being executed is executed again: its answer does not exist.
        slot.word = word
        closesAfterOutput = word.isClosing
        // How long the head has taken already nobody knows; its time begins again.
        requestStartedAt = input.isEmpty ? 0 : max(owner.eventLoop.now, 1)
        return true
    }

    /// Lets a connection end that nobody can go on with: behind what was answered, and not with a
    /// reset, which would destroy that.
    func giveUp() {
        var word = slot.word
        // Of a spilled answer the kernel may have any part; then none of the slot's is left.
        let isWhole =
            word.output <= SlotRegion.outputCapacity && !slot.flags.contains(.isLocal)
            && Socket.counters(of: socket).map {
                output.resume(written: UInt32(truncatingIfNeeded: $0.written))
            } ?? false
        word = slot.word
        if !isWhole { word.output = 0 }
        (word.start, word.end, word.isExecuting, word.isClosing) = (0, 0, false, true)
        slot.word = word
        slot.flags.remove(.spilled)
        closesAfterOutput = true
    }

    /// Looks again at a request that waits for a model to be loaded.
    func unpark() {
        guard phase == .serving, parkedUntil > 0 else { return }
        parkedUntil = 0
        advance()
    }

    /// Lets go of the connection, for another worker to go on with, if nothing of it lies in this
    /// one's memory and nothing runs for it; whether that is so.
    @discardableResult
    func handOver() -> Bool {
        guard phase == .serving, pending == nil, pausedAt == 0, held == nil,
            parkedUntil == 0, !slot.flags.contains(.spilled), let token
        else { return false }
        // Nobody could say how much of its answer a Unix socket's client has.
        guard output.isEmpty || !slot.flags.contains(.isLocal) else { return false }
        phase = .closed
        owner.eventLoop.unregister(socket, token)
        self.token = nil
        countChunked(0)
        owner.release(self)
        return true
    }

    /// Lets go of the socket without closing the connection. Only for `ServingLoop.abandon`.
    func abandonSocket() -> CInt {
        if let token { owner.eventLoop.unregister(socket, token) }
        token = nil
        phase = .closed
        return Socket.duplicateNumber(socket)
    }
}
