import Platform
import TestSupport
import Testing

struct SlotRegionTests {
    @Test func `a request is moved to the front whatever its length, from each store on`() throws {
        for (start, length) in [
            (1, 30_000), (100, 1000), (16_000, 16_767), (1000, 1), (3, 0), (5, 32_000),
        ] {
            let region = try SlotRegion(count: 1)
            let slot = region.slot(0)
            let text = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
            slot.restoreInput((Array(repeating: UInt8(7), count: start) + text).span)
            var word = slot.word
            word.start = start
            slot.word = word
            #expect(slot.compactInput())
            #expect(slot.word.start == 0 && slot.word.end == length)
            slot.withInput { bytes in #expect(bytes.indices.allSatisfy { bytes[$0] == text[$0] }) }
            #expect(!slot.compactInput(), "it lies at the front")
        }
    }

    @Test func `memory of a slot that is given back reads as zeros and takes no room`() throws {
        let region = try SlotRegion(count: 4)
        for index in 0..<4 {
            region.slot(index).restoreInput(Array(repeating: UInt8(index + 1), count: 32_000).span)
            region.slot(index).stageOutput(Array(repeating: 9, count: 32_000).span, at: 0)
        }
        region.giveBack(1)
        for index in 0..<4 {
            region.slot(index).withInput { bytes in
                let wanted = index == 1 ? 0 : UInt8(index + 1)
                #expect(bytes.indices.allSatisfy { bytes[$0] == wanted }, "slot \(index)")
            }
        }
    }

    @Test func `what a dead worker has closed and not said so comes back`() throws {
        let region = try SlotRegion(count: 3)
        var ledger = SlotLedger(region)
        let socket = try MessageSocket.pair()
        for _ in 0..<3 { _ = ledger.take(for: socket.other.descriptor, loop: 0, isLocal: false) }
        region.slot(0).life = .closed
        region.slot(2).life = .closed
        #expect(ledger.sweepUnmarked { $0 != 2 } == [0])
        #expect(ledger.inUse == 2)
        #expect(ledger.take(for: socket.other.descriptor, loop: 0, isLocal: false) == 0)
    }

    @Test func `the last places are for one answer each`() throws {
        let region = try SlotRegion(count: 32)
        var ledger = SlotLedger(region)
        let socket = try MessageSocket.pair()
        for index in 0..<32 {
            _ = ledger.take(for: socket.other.descriptor, loop: 0, isLocal: false)
            #expect(region.slot(index).flags.contains(.isBrief) == (index >= 30), "\(index)")
        }
    }

    @Test func `the parts of a commit word do not touch each other`() {
        var word = CommitWord()
        word.received = 65535
        word.start = 12345
        word.end = 32767
        word.output = 32767
        word.isExecuting = true
        #expect(word.received == 65535 && word.start == 12345 && word.end == 32767)
        #expect(word.output == 32767 && word.isExecuting)
        word.start = 0
        word.isExecuting = false
        #expect(word.received == 65535 && word.start == 0 && word.end == 32767)
        #expect(word.output == 32767 && !word.isExecuting)
        #expect(word.bits >> 63 == 0)
    }

    @Test func `bytes are received into the slot and sent from it`() throws {
        let region = try SlotRegion(count: 2)
        let pair = try Socket.pair()
        let slot = region.slot(1)
        slot.begin(connection: 7, loop: 0, at: 1)
        #expect(slot.life == .live && slot.connection == 7 && slot.generation == 1)
        #expect(Socket.send(Array("hello".utf8), to: pair.other) == .moved(5))
        #expect(slot.receive(from: pair.one) == .moved(5))
        #expect(slot.receive(from: pair.one) == .wouldBlock)
        #expect(slot.withInput { $0.count } == 5)
        #expect(slot.word.received == 5)
        slot.stageOutput(Array("answer".utf8), at: 0)
        #expect(slot.word.output == 0, "staged bytes do not count yet")
        var word = slot.word
        word.start += 5
        word.output = 6
        slot.word = word
        #expect(slot.sendOutput(to: pair.one, from: 2) == .moved(4))
        var received: [UInt8] = []
        #expect(Socket.receive(from: pair.other, into: &received, maximum: 100) == .moved(4))
        #expect(received == Array("swer".utf8))
        // An empty buffer begins at the front again, by a commit of its own.
        #expect(slot.receive(from: pair.one) == .wouldBlock)
        #expect(slot.word.start == 0 && slot.word.end == 0)
    }

    @Test func `a slot that is used again is clean`() throws {
        let region = try SlotRegion(count: 1)
        let slot = region.slot(0)
        slot.begin(connection: 1, loop: 0, at: 1)
        slot.flags = [.spilled, .isBrief]
        slot.sequence = 9
        slot.restoreInput([1, 2, 3].span)
        slot.life = .closed
        #expect(region.life(0) == .closed)
        slot.begin(connection: 2, loop: 0, at: 2)
        #expect(slot.flags == [] && slot.sequence == 0 && slot.word == CommitWord())
        #expect(slot.generation == 2)
    }
}
