import Platform
import TestSupport
import Testing

struct LogRingTests {
    private func read(
        _ ring: LogRing,
        upTo limit: UInt64? = nil
    ) -> (records: [[UInt8]], end: UInt64?) {
        var records: [[UInt8]] = []
        let end = ring.read(upTo: limit, bytes: 1 << 20) { record in
            var copy: [UInt8] = []
            for index in record.indices { copy.append(record[index]) }
            records.append(copy)
        }
        return (records, end.isDamaged ? nil : end.position)
    }

    @Test func `records come out as they went in, round after round`() throws {
        let folder = try TemporaryFolder()
        let ring = try LogRing(creating: "\(folder.path)/ring", capacity: 4096)
        var number = 0
        for round in 0..<500 {
            var expected: [[UInt8]] = []
            for _ in 0..<1 + round % 5 {
                let record = [UInt8](repeating: UInt8(number % 251), count: number * 7 % 300)
                number += 1
                if ring.append(record, key: UInt64(number)) { expected.append(record) }
            }
            let (records, end) = read(ring)
            #expect(records == expected, "round \(round)")
            ring.finishBatch(end: try #require(end))
        }
        #expect(!ring.hasRecords)
    }

    @Test func `a full ring refuses and changes nothing`() throws {
        let folder = try TemporaryFolder()
        let ring = try LogRing(creating: "\(folder.path)/ring", capacity: 4096)
        var taken = 0
        while ring.append([UInt8](repeating: 1, count: 100), key: 1) { taken += 1 }
        #expect(taken >= 30)
        #expect(read(ring).records.count == taken)
        ring.countLost()
        #expect(ring.lost == 1)
        #expect(!ring.append([UInt8](repeating: 1, count: 5000), key: 1), "larger than the ring")
    }

    @Test func `another opening finds the records, the note and what is beyond it`() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/ring"
        let ring = try LogRing(creating: path, capacity: 4096)
        for byte in 0..<5 as Range<UInt8> { #expect(ring.append([byte], key: 1)) }
        let end = try #require(read(ring).end)
        ring.beginBatch(end: end, firstSequence: 42)
        #expect(ring.append([9], key: 1))
        let other = try #require(try LogRing(existing: path))
        #expect(other.openBatch?.end == end && other.openBatch?.firstSequence == 42)
        #expect(read(other, upTo: end).records.count == 5)
        #expect(read(other).records.last == [9])
        ring.finishBatch(end: end)
        #expect(ring.openBatch == nil)
        #expect(read(ring).records == [[9]])
    }

    @Test(arguments: [(64, UInt8(0xf8)), (64, 0x03), (128, 0x04)])
    func `a ring whose positions cannot be is not opened`(place: Int, byte: UInt8) throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/ring"
        let ring = try LogRing(creating: path, capacity: 4096)
        #expect(ring.append([1], key: 1))
        var bytes = try File.read(path, limit: 1 << 20)
        for index in 0..<8 { bytes[place + index] = byte == 0xf8 ? 0xff : bytes[place + index] }
        bytes[place] = byte
        if byte == 0xf8 { for index in 0..<8 { bytes[128 + index] = index == 0 ? 0xf0 : 0xff } }
        try File.writeAtomically(path, bytes)
        #expect(try LogRing(existing: path) == nil)
    }

    @Test func `a file that is no ring is not opened, and damaged records are noticed`() throws {
        let folder = try TemporaryFolder()
        let text = try folder.write("text", String(repeating: "x", count: 8192))
        #expect(try LogRing(existing: text) == nil)
        let path = "\(folder.path)/ring"
        let ring = try LogRing(creating: path, capacity: 4096)
        #expect(ring.append([1, 2, 3], key: 5))
        var bytes = try File.read(path, limit: 1 << 20)
        bytes[4096] = 200  // the length of the first record
        try File.writeAtomically(path, bytes)
        let damaged = try #require(try LogRing(existing: path))
        #expect(read(damaged).end == nil)
        // A front that lies behind the first record cannot be.
        var moved = try File.read(path, limit: 1 << 20)
        moved[72] = 8
        try File.writeAtomically(path, moved)
        #expect(try LogRing(existing: path) == nil)
    }

    /// Once everything is read the front moves, and whoever opens the file then reads the rest.
    @Test func `a ring that begins again at its front is read on by a successor`() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/ring"
        let ring = try LogRing(creating: path, capacity: 1 << 14)
        let record = [UInt8](repeating: 7, count: 900)
        for round in 0..<60 {
            for key in 0..<UInt64(round % 14 + 1) { #expect(ring.append(record, key: key)) }
            let successor = try #require(try LogRing(existing: path))
            #expect(read(successor).records == [[UInt8]](repeating: record, count: round % 14 + 1))
            ring.finishBatch(end: try #require(read(ring).end))
            #expect(!ring.hasRecords)
        }
    }
}
