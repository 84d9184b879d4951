// One thread's loop: which of its descriptors are ready, what other threads ask of it, what is due.
//
// Everything that a loop owns is confined to its thread by type: `EventLoop` and what hangs on it
// are not `Sendable`, are made inside the thread, and are reached from outside only through a
// `Mailbox`, which hands them to the job. The loop never blocks but in its one wait.

package import Platform

/// Somebody who is told when a descriptor of theirs is ready or a deadline of theirs has come.
package protocol LoopClient: AnyObject {
    /// The descriptor is ready.
    func ready(_ interest: Interest)
    /// The moment that was set has come.
    func deadlineReached(now: UInt64)
}

/// A registration with a loop; not valid for another loop.
package struct LoopToken: Equatable {
    let index: Int
    let generation: UInt32
    var bits: UInt64 { UInt64(generation) << 32 | UInt64(UInt32(index)) }
}

/// Waits on descriptors and deadlines for one thread.
package final class EventLoop {
    private struct Entry {
        var client: (any LoopClient)?
        var generation: UInt32
        /// When the client wants to be told, or `never`.
        var deadline: UInt64
        /// The time of the earliest item that `deadlines` holds for this entry, or `never`.
        var queued: UInt64
    }

    /// A deadline that never comes.
    package static let never = UInt64.max

    /// The moment of this turn, in monotonic nanoseconds: read once, and moved on by those who have
    /// read the clock anyway.
    package private(set) var now = MonotonicClock.now()
    /// Counts the turns.
    package private(set) var turns = 0
    /// When the turn before this one was done, as far as somebody has read the clock in it.
    package private(set) var lastEnd: UInt64 = 0
    private var epoll: Epoll
    private var entries: [Entry] = []
    private var freeEntries: [Int] = []
    private var deadlines = Deadlines()
    private var isStopped = false

    package init() throws(SystemError) {
        epoll = try Epoll()
    }

    /// Starts telling `client` when `file` is ready.
    package func register(
        _ file: borrowing FileDescriptor,
        _ interest: Interest,
        for client: any LoopClient
    ) throws(SystemError) -> LoopToken {
        let index: Int
        if let free = freeEntries.popLast() {
            index = free
            entries[index].client = client
            entries[index].deadline = Self.never
        } else {
            index = entries.count
            entries.append(
                Entry(client: client, generation: 0, deadline: Self.never, queued: Self.never)
            )
        }
        let token = LoopToken(index: index, generation: entries[index].generation)
        do {
            try epoll.add(file, interest, token: token.bits)
        } catch {
            entries[index].client = nil
            freeEntries.append(index)
            throw error
        }
        return token
    }

    /// Changes what a registered descriptor is waited for.
    package func modify(
        _ file: borrowing FileDescriptor,
        _ interest: Interest,
        _ token: LoopToken
    ) throws(SystemError) {
        try epoll.modify(file, interest, token: token.bits)
    }

    /// Ends a registration. To be called before the descriptor is closed.
    package func unregister(_ file: borrowing FileDescriptor, _ token: LoopToken) {
        precondition(entries[token.index].generation == token.generation, "registered once")
        try? epoll.remove(file)
        entries[token.index].client = nil
        entries[token.index].generation &+= 1
        entries[token.index].deadline = Self.never
        freeEntries.append(token.index)
    }

    /// Sets when the client is told that its moment has come; `never` takes it back.
    ///
    /// Costs a store as long as deadlines move into the future, which they do with every request:
    /// an item that comes up too early is queued again.
    package func setDeadline(_ deadline: UInt64, _ token: LoopToken) {
        entries[token.index].deadline = deadline
        if deadline < entries[token.index].queued {
            entries[token.index].queued = deadline
            deadlines.insert(Deadlines.Item(time: deadline, index: token.index))
        }
    }

    /// Moves the moment of this turn on, for somebody who has read the clock in it.
    package func advance(to moment: UInt64) {
        now = max(now, moment)
    }

    /// Ends `run` after the present turn.
    package func stop() {
        isStopped = true
    }

    /// Turns until `stop`.
    package func run() throws(SystemError) {
        while !isStopped {
            try turn(millisecondsMaximum: 1000)
        }
    }

    /// One turn: waits, tells the clients what is ready, then whose moment has come.
    package func turn(millisecondsMaximum: Int) throws(SystemError) {
        lastEnd = now
        let count = try epoll.wait(milliseconds: waitTime(millisecondsMaximum))
        now = MonotonicClock.now()
        turns += 1
        for index in 0..<count {
            let event = epoll.event(index)
            let place = Int(event.token & 0xffff_ffff)
            // A client that went away in this turn has another generation by now.
            guard entries[place].generation == UInt32(event.token >> 32),
                let client = entries[place].client
            else { continue }
            client.ready(event.interest)
        }
        while let item = deadlines.first, item.time <= now {
            deadlines.removeFirst()
            tell(item)
        }
    }

    private func tell(_ item: Deadlines.Item) {
        // Not the earliest item of its entry any more: an earlier one took its place.
        guard entries[item.index].queued == item.time else { return }
        entries[item.index].queued = Self.never
        let deadline = entries[item.index].deadline
        guard deadline != Self.never, let client = entries[item.index].client else { return }
        if deadline <= now {
            entries[item.index].deadline = Self.never
            client.deadlineReached(now: now)
        } else {
            entries[item.index].queued = deadline
            deadlines.insert(Deadlines.Item(time: deadline, index: item.index))
        }
    }

    private func waitTime(_ maximum: Int) -> Int {
        guard let first = deadlines.first else { return maximum }
        guard first.time > now else { return 0 }
        return min(maximum, Int(clamping: (first.time - now) / 1_000_000 + 1))
    }
}

@available(*, unavailable)
extension EventLoop: Sendable {}
