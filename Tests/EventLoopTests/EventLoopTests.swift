import EventLoop
import Platform
import TestSupport
import Testing

/// Notes what a loop tells it.
private final class Recorder: LoopClient {
    var readiness: [Interest] = []
    var deadlines: [UInt64] = []

    func ready(_ interest: Interest) { readiness.append(interest) }

    func deadlineReached(now: UInt64) { deadlines.append(now) }
}

/// Removes another client as soon as it is told something.
private final class Removing: LoopClient {
    let pair: SocketPair
    let loop: EventLoop
    var token: LoopToken?
    var victim: Removing?
    var count = 0

    init(_ loop: EventLoop) throws {
        pair = try Socket.pair()
        self.loop = loop
        token = try loop.register(pair.one, .readable, for: self)
    }

    func remove() {
        if let token { loop.unregister(pair.one, token) }
        token = nil
    }

    func ready(_ interest: Interest) {
        count += 1
        victim?.remove()
    }

    func deadlineReached(now: UInt64) {}
}

struct EventLoopTests {
    @Test func `a client hears of its descriptor until it has taken what is there`() throws {
        let loop = try EventLoop()
        let pair = try Socket.pair()
        let recorder = Recorder()
        let token = try loop.register(pair.one, .readable, for: recorder)
        try loop.turn(millisecondsMaximum: 0)
        #expect(recorder.readiness.isEmpty)
        #expect(Socket.send([1], to: pair.other) == .moved(1))
        try loop.turn(millisecondsMaximum: 1000)
        try loop.turn(millisecondsMaximum: 1000)
        #expect(recorder.readiness.count == 2)
        loop.unregister(pair.one, token)
        try loop.turn(millisecondsMaximum: 0)
        #expect(recorder.readiness.count == 2)
    }

    @Test func `a client that another one removes in the same turn hears nothing`() throws {
        let loop = try EventLoop()
        let one = try Removing(loop)
        let two = try Removing(loop)
        one.victim = two
        two.victim = one
        #expect(Socket.send([1], to: one.pair.other) == .moved(1))
        #expect(Socket.send([1], to: two.pair.other) == .moved(1))
        // Whichever is told first removes the other.
        try loop.turn(millisecondsMaximum: 1000)
        #expect(one.count + two.count == 1)
    }

    @Test func `deadlines come in time, move, and can be taken back`() throws {
        let loop = try EventLoop()
        let pair = try Socket.pair()
        let other = try Socket.pair()
        let moved = Recorder()
        let taken = Recorder()
        let movedToken = try loop.register(pair.one, .readable, for: moved)
        let takenToken = try loop.register(other.one, .readable, for: taken)
        let start = MonotonicClock.now()
        loop.setDeadline(start + 1_000_000, movedToken)
        loop.setDeadline(start + 1_000_000, takenToken)
        loop.setDeadline(start + 40_000_000, movedToken)
        loop.setDeadline(EventLoop.never, takenToken)
        while moved.deadlines.isEmpty, MonotonicClock.now() < start + 5_000_000_000 {
            try loop.turn(millisecondsMaximum: 100)
        }
        #expect(moved.deadlines.count == 1)
        #expect(moved.deadlines.first.map { $0 >= start + 40_000_000 } == true)
        #expect(taken.deadlines.isEmpty)
    }

    @Test func `a deadline that moves nearer comes earlier, and once`() throws {
        let loop = try EventLoop()
        let pair = try Socket.pair()
        let recorder = Recorder()
        let token = try loop.register(pair.one, .readable, for: recorder)
        let start = MonotonicClock.now()
        loop.setDeadline(start + 60_000_000_000, token)
        loop.setDeadline(start + 20_000_000, token)
        loop.setDeadline(start + 1_000_000, token)
        while MonotonicClock.now() < start + 100_000_000 {
            try loop.turn(millisecondsMaximum: 10)
        }
        #expect(recorder.deadlines.count == 1)
    }

    @Test func `jobs from many threads all reach the owner, each thread's in order`() throws {
        final class Owner { var seen: [[Int]] = [[], [], [], []] }
        let owner = Owner()
        let mailbox = try Mailbox<Owner>()
        for thread in 0..<4 {
            _ = try Thread(name: "post") {
                for number in 0..<1000 { mailbox.post { $0.seen[thread].append(number) } }
            }.join()
        }
        let isComplete = eventually {
            mailbox.drain(owner)
            return owner.seen.allSatisfy { $0.count == 1000 }
        }
        #expect(isComplete)
        #expect(owner.seen.allSatisfy { $0 == Array(0..<1000) })
    }
}
