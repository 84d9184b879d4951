import Platform
import TestSupport
import Testing

struct SlotRegionTests {
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

    @Test func `a half-received request is moved only when nothing of it is overwritten`() throws {
        let region = try SlotRegion(count: 1)
        let slot = region.slot(0)
        slot.begin(connection: 1, loop: 0, at: 1)
        slot.restoreInput([UInt8](repeating: 1, count: 100).span)
        var word = slot.word
        word.start = 40
        slot.word = word
        #expect(!slot.compactInput())
        word.start = 60
        slot.word = word
        #expect(slot.compactInput())
        #expect(slot.word.start == 0 && slot.word.end == 40)
    }

    @Test func `a slot that is used again is clean`() throws {
        let region = try SlotRegion(count: 1)
        let slot = region.slot(0)
        slot.begin(connection: 1, loop: 0, at: 1)
        slot.flags = [.spilled, .closeAfterOutput]
        slot.sequence = 9
        slot.restoreInput([1, 2, 3].span)
        slot.life = .closed
        #expect(region.life(0) == .closed)
        slot.begin(connection: 2, loop: 0, at: 2)
        #expect(slot.flags == [] && slot.sequence == 0 && slot.word == CommitWord())
        #expect(slot.generation == 2)
    }
}
