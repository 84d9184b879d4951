// What a connection waits for: bytes of a body, memory for a large request, a client that reads its
// answer. Each wait has its end.

import Bytes
import EventLoop
import HTTP
import Platform

extension Connection {
    /// Over how long the least rate of a body counts.
    private static let rateNanoseconds: UInt64 = 30_000_000_000
    /// How long a connection in one of the last places may be idle, or take for a request.
    private static let briefNanoseconds: UInt64 = 2_000_000_000
    /// How long a request waits for memory before it is refused, and how often it looks.
    static let roomWaitNanoseconds: UInt64 = 2_000_000_000
    private static let roomLookNanoseconds: UInt64 = 20_000_000

    // MARK: Bodies

    /// Whether the body at the front has come too slowly, or takes too long as a whole.
    var isTooSlow: Bool {
        guard bodySince > 0 else { return false }
        let (now, limits) = (owner.eventLoop.now, configuration.limits)
        if now - bodySince >= limits.bodyTotalNanoseconds { return true }
        return now - rateSince >= Self.rateNanoseconds
            && input.count - rateBytes < limits.bodyRate * 30
    }

    var slowSentence: String {
        let limits = configuration.limits
        return "the body came too slowly: wanted \(limits.bodyRate) bytes a second over 30 s, and "
            + "all of it within \(limits.bodyTotalNanoseconds / 1_000_000_000) s"
    }

    /// When a body has to be looked at that is awaited; begins to count where one is awaited now.
    func bodyDeadline() -> UInt64 {
        let (now, limits) = (owner.eventLoop.now, configuration.limits)
        if bodySince == 0 {
            (bodySince, rateSince, rateBytes) = (now, now, input.count)
        } else if isTooSlow {
            return now
        } else if now - rateSince >= Self.rateNanoseconds {
            (rateSince, rateBytes) = (now, input.count)
        }
        return min(
            now + limits.bodyNanoseconds,
            rateSince + Self.rateNanoseconds,
            bodySince + limits.bodyTotalNanoseconds
        )
    }

    // MARK: Memory

    /// Stops reading until the host has memory again.
    func pause() {
        if pausedAt == 0 { pausedAt = owner.eventLoop.now }
    }

    /// Whether there is room again for what it has paused for.
    var hasRoom: Bool {
        let memory = owner.state.memory
        return input.admit(request.head, from: socket) && !memory.answersHoldTooMuch
            && memory.hasRoom(for: lackingBytes, beside: input.heldBytes)
    }

    /// Nothing of the request was executed: the client may send it again later.
    func refuseForRoom() {
        (pausedAt, lackingBytes) = (0, 0)
        refuse(
            HTTPFault(
                .serviceUnavailable,
                "the host holds too many large requests and answers at the moment; send this one "
                    + "again later"
            )
        )
        advance()
    }

    // MARK: Answers that have no room yet

    /// An answer whose client does not read, and what has to be left in the log with it.
    struct HeldAnswer {
        let bytes: [UInt8]
        /// Bytes of the request.
        let length: Int
        let records: [(key: UInt64, payload: [UInt8])]
    }

    func hold(_ bytes: Span<UInt8>, consuming count: Int) {
        var copy: [UInt8] = []
        copy.reserveCapacity(bytes.count)
        copy.append(bytes)
        owner.state.memory.countAnswer(copy.capacity)
        held = HeldAnswer(bytes: copy, length: count, records: owner.takeRecords())
    }

    /// Commits the answer that had no room, if it has some now.
    func placeHeld() {
        guard let held, output.hasRoom(held.bytes.count) else { return }
        self.held = nil
        owner.state.memory.countAnswer(-held.bytes.capacity)
        owner.leave(held.records)
        commit(held.bytes.span, consuming: held.length)
        forgetRequest()
    }

    /// Gives up an answer that nobody waits for: its request was executed nevertheless.
    func dropHeld() {
        guard let held else { return }
        self.held = nil
        owner.state.memory.countAnswer(-held.bytes.capacity)
        owner.leave(held.records)
        owner.publishRecords()
    }

    // MARK: The next deadline

    func updateWaiting() {
        guard let token else { return }
        let isDeaf =
            input.hasEnded || pausedAt > 0 || parkedUntil > 0 || pending?.hasFarewell == true
        wait(for: isDeaf ? Interest(rawValue: 0) : pending == nil ? .readable : .peerClosed)
        let deadline: UInt64
        if let pending {
            deadline = pending.answer.deadline
        } else if parkedUntil > 0 {
            deadline = parkedUntil
        } else if pausedAt > 0 {
            // Fixed at its end, whatever happens meanwhile.
            deadline = min(
                owner.eventLoop.now + Self.roomLookNanoseconds,
                pausedAt + Self.roomWaitNanoseconds
            )
        } else if input.isEmpty {
            let idle =
                owner.state.isDraining
                ? configuration.settleNanoseconds : configuration.limits.idleNanoseconds
            deadline = owner.eventLoop.now + (isBrief ? min(idle, Self.briefNanoseconds) : idle)
        } else if request.head == nil {
            let time = configuration.limits.headNanoseconds
            deadline = requestStartedAt + (isBrief ? min(time, Self.briefNanoseconds) : time)
        } else {
            deadline = bodyDeadline()
        }
        owner.eventLoop.setDeadline(deadline, token)
    }
}
