// A ring of records in a file that is mapped into memory: one loop writes, one thread reads.
//
// A record counts from the store of `head` on. The file's pages belong to the kernel, so a record
// outlives the process from that store on, whatever ends it; the next process finds it and appends
// it to the log. Disk space is reserved when the ring is made: a full disk cannot tear a record.
//
// The records of one request are staged first, and published once its answer exists. What a dead
// producer has staged and not published is of its last request: whoever knows whether that one was
// answered keeps it or drops it (`settleStaged`), so that a request that is executed again by
// another worker is in the log once.
//
// Reading has two steps, so that a record reaches the log exactly once. Before the reader writes a
// batch to the log it notes, in the ring, where the batch ends and which sequence number its first
// record gets; after writing it moves `tail`. A successor that finds such a note compares it with
// the last sequence number in the log and skips what is there already.
//
// Whenever everything has been read, the producer begins again at the front: as long as the reader
// keeps up, the same few pages are used again and again, and stay in the cache; the rest is for the
// time in which the disk does not.
//
// Layout, version 3: a page of header (magic, layout version, capacity, then head with the position
// that stands at the front and the end of what is staged, tail, the note and the count of lost
// records, each on a cache line of its own), then `capacity` bytes of records: length 4, check 4,
// key 8, payload, padding to 8. A length of 0xffffffff sends the reader back to the front.

import Glibc
import Synchronization

/// A mapped ring of records.
///
/// SAFETY: `path` is written before a second thread has the object. `base` points into `region`,
/// which this object keeps mapped, and every offset is taken modulo `capacity` or checked against
/// it first. `head` and the bytes between `head` and `tail`'s next round are written by the one
/// producing thread only; `tail` and the note by the one reading thread only. The atomic store of
/// `head` (release) publishes a record to the reader (acquire), and that of `tail` gives its bytes
/// back to the producer.
@safe
package final class LogRing: @unchecked Sendable {
    static let magic: UInt64 = 0x31_47_4e_49_52_59_57_53  // "SWYRING1"
    static let layoutVersion: UInt64 = 3
    static let headerBytes = 4096
    static let recordHeaderBytes = 16
    static let wrapMark: UInt32 = 0xffff_ffff

    /// Where the ring's file lies.
    package private(set) var path: String
    /// Bytes for records.
    package let capacity: Int
    /// Whether no file has it.
    package let isInMemory: Bool
    private let region: MappedRegion
    private let base: UnsafeMutableRawPointer

    /// Makes a new ring at a path where nothing is; `capacity` is rounded up to a multiple of 8.
    package init(creating path: String, capacity: Int) throws(SystemError) {
        let capacity = Self.rounded(capacity)
        do {
            region = try MappedRegion.file(path, count: Self.headerBytes + capacity)
        } catch {
            // A file that found no room is of no use to anybody.
            try? File.remove(path)
            throw error
        }
        unsafe base = region.base
        self.path = path
        self.capacity = capacity
        isInMemory = false
        begin()
    }

    /// Makes a ring that no file has: it ends with the process. `path` is what sentences name.
    package init(inMemory path: String, capacity: Int) throws(SystemError) {
        let capacity = Self.rounded(capacity)
        region = try MappedRegion.anonymous(
            name: "switchyard-ring",
            count: Self.headerBytes + capacity
        )
        unsafe base = region.base
        self.path = path
        self.capacity = capacity
        isInMemory = true
        begin()
    }

    /// The bytes that a ring of so many has.
    package static func rounded(_ capacity: Int) -> Int { (max(capacity, 4096) + 7) & ~7 }

    private func begin() {
        setNumber(0, Self.magic)
        setNumber(8, Self.layoutVersion)
        setNumber(16, UInt64(capacity))
    }

    /// Gives the ring's file another name. Only before a loop has it.
    package func move(to path: String) throws(SystemError) {
        try File.rename(self.path, to: path)
        self.path = path
    }

    /// Opens a ring that another process has left; nil when the file is not a ring of this layout.
    package init?(existing path: String) throws(SystemError) {
        let size = try File.facts(path).size
        guard size > Self.headerBytes, size % 8 == 0 else { return nil }
        region = try MappedRegion.file(path, count: size)
        unsafe base = region.base
        self.path = path
        capacity = size - Self.headerBytes
        isInMemory = false
        // Nothing is written to a file that is no ring.
        guard number(0) == Self.magic, (1...Self.layoutVersion).contains(number(8)) else {
            return nil
        }
        // In version 1 the front never moved, and its place is 0; before version 3 nothing was
        // staged, and that place is 0.
        if number(8) < 3 { setNumber(Self.stagedPlace, number(Self.headPlace)) }
        guard
            number(16) == UInt64(capacity), number(64) >= number(128), number(64) < 1 << 62,
            number(64) % 8 == 0, number(128) % 8 == 0, number(72) % 8 == 0,
            number(72) <= number(128),
            number(64) - number(128) <= UInt64(capacity), number(80) >= number(64),
            number(80) - number(128) <= UInt64(capacity), number(80) % 8 == 0
        else { return nil }
    }

    private func number(_ offset: Int) -> UInt64 {
        unsafe base.load(fromByteOffset: offset, as: UInt64.self)
    }

    private func setNumber(_ offset: Int, _ value: UInt64) {
        unsafe base.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }

    private func load(_ offset: Int, _ ordering: AtomicLoadOrdering) -> UInt64 {
        let place = unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
        return ordering == .acquiring
            ? unsafe place.pointee.load(ordering: .acquiring)
            : unsafe place.pointee.load(ordering: .relaxed)
    }

    private func store(_ offset: Int, _ value: UInt64) {
        unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
            .pointee.store(value, ordering: .releasing)
    }

    private static let headPlace = 64
    private static let frontPlace = 72
    private static let stagedPlace = 80
    private static let tailPlace = 128
    private static let batchEndPlace = 192
    private static let batchSequencePlace = 200
    private static let lostPlace = 256

    // MARK: The producing loop

    /// Appends one record that counts at once; false when there is no room, and then nothing has
    /// changed.
    package func append(_ payload: Span<UInt8>, key: UInt64) -> Bool {
        defer { publish() }
        return stage(payload, key: key)
    }

    /// Lets what was staged count.
    package func publish() {
        store(Self.headPlace, load(Self.stagedPlace, .relaxed))
    }

    /// Puts one record behind the others that does not count yet; false when there is no room, and
    /// then nothing has changed.
    ///
    /// `key` tells which request of which connection the record is of.
    package func stage(_ payload: Span<UInt8>, key: UInt64) -> Bool {
        let needed = Self.recordHeaderBytes + (payload.count + 7) & ~7
        let head = load(Self.stagedPlace, .relaxed)
        let used = Int(head - load(Self.tailPlace, .acquiring))
        var place = place(of: head)
        if used == 0, place >= Self.pageBytes {
            // Nothing waits, so the reader reads nothing: the front may be moved to here.
            store(Self.frontPlace, head)
            place = 0
        }
        let toEnd = capacity - place
        let skipped = toEnd < needed ? toEnd : 0
        guard needed <= capacity / 2, used + skipped + needed <= capacity else { return false }
        if skipped > 0 {
            unsafe (base + Self.headerBytes + place).storeBytes(of: Self.wrapMark, as: UInt32.self)
            place = 0
        }
        let record = unsafe base + Self.headerBytes + place
        unsafe payload.withUnsafeBytes { source in
            guard let address = source.baseAddress else { return }
            unsafe (record + Self.recordHeaderBytes).copyMemory(
                from: address,
                byteCount: source.count
            )
        }
        unsafe record.storeBytes(of: UInt32(payload.count), as: UInt32.self)
        let check = Self.check(
            length: payload.count,
            key: key,
            position: head + UInt64(skipped)
        )
        unsafe record.storeBytes(of: check, toByteOffset: 4, as: UInt32.self)
        unsafe record.storeBytes(of: key, toByteOffset: 8, as: UInt64.self)
        store(Self.stagedPlace, head + UInt64(skipped + needed))
        return true
    }

    /// Takes back what was staged and does not count yet, in order.
    package func takeStaged() -> [(key: UInt64, payload: [UInt8])] {
        let head = load(Self.headPlace, .relaxed)
        let staged = load(Self.stagedPlace, .relaxed)
        var records: [(key: UInt64, payload: [UInt8])] = []
        _ = walk(from: head, to: staged, bytes: .max) { key, payload in
            var copy: [UInt8] = []
            copy.reserveCapacity(payload.count)
            for index in payload.indices { copy.append(payload[index]) }
            records.append((key, copy))
        }
        store(Self.stagedPlace, head)
        return records
    }

    /// Where a position stands. The reader sees the front that belongs to a head: it is stored
    /// before that head, and only while the reader has nothing to read.
    private func place(of position: UInt64) -> Int {
        Int((position - load(Self.frontPlace, .relaxed)) % UInt64(capacity))
    }

    /// Bytes behind the front that make it worth going back.
    private static let pageBytes = 4096

    /// Counts a record that found no room. Called by the producer.
    package func countLost() {
        store(Self.lostPlace, load(Self.lostPlace, .relaxed) + 1)
    }

    /// How many records found no room.
    package var lost: UInt64 { load(Self.lostPlace, .relaxed) }

    /// Mixes what a record's header says with where it stands, so that neither zeros nor the record
    /// of an earlier round pass for one.
    private static func check(length: Int, key: UInt64, position: UInt64) -> UInt32 {
        let mixed = (UInt64(length) ^ key ^ position << 20 ^ magic) &* 0x9e37_79b9_7f4a_7c15
        return UInt32(truncatingIfNeeded: mixed >> 32)
    }

    // MARK: The reading thread

    /// Bytes of records that wait to be read.
    package var waitingBytes: Int {
        Int(load(Self.headPlace, .acquiring) - load(Self.tailPlace, .relaxed))
    }

    /// Whether a record waits to be read.
    package var hasRecords: Bool {
        load(Self.headPlace, .acquiring) != load(Self.tailPlace, .relaxed)
    }

    /// The note of a batch whose writing was begun: where it ends, and its first sequence number.
    package var openBatch: (end: UInt64, firstSequence: UInt64)? {
        let end = load(Self.batchEndPlace, .relaxed)
        guard end > load(Self.tailPlace, .relaxed), end <= load(Self.headPlace, .relaxed) else {
            return nil
        }
        return (end, load(Self.batchSequencePlace, .relaxed))
    }

    /// How far reading came.
    package struct ReadEnd: Equatable {
        /// The position behind the last record that was lent.
        package let position: UInt64
        /// Whether what stands there is no record.
        package let isDamaged: Bool
    }

    /// Lends the waiting records in order, up to `limit` (a position) or about `bytes` bytes.
    package func read(
        upTo limit: UInt64?,
        bytes: Int,
        _ body: (Span<UInt8>) -> Void
    ) -> ReadEnd {
        let start = load(Self.tailPlace, .relaxed)
        let head = limit ?? load(Self.headPlace, .acquiring)
        return walk(from: start, to: head, bytes: bytes) { _, payload in body(payload) }
    }

    /// Lends the records between two positions.
    private func walk(
        from start: UInt64,
        to head: UInt64,
        bytes: Int,
        _ body: (UInt64, Span<UInt8>) -> Void
    ) -> ReadEnd {
        var position = start
        while position < head, position - start < UInt64(bytes) {
            let place = place(of: position)
            let record = unsafe base + Self.headerBytes + place
            let length = unsafe record.load(as: UInt32.self)
            if length == Self.wrapMark, position + UInt64(capacity - place) <= head {
                position += UInt64(capacity - place)
                continue
            }
            let padded = Self.recordHeaderBytes + (Int(length) + 7) & ~7
            guard padded <= capacity - place, position + UInt64(padded) <= head else {
                return ReadEnd(position: position, isDamaged: true)
            }
            let key = unsafe record.load(fromByteOffset: 8, as: UInt64.self)
            let check = unsafe record.load(fromByteOffset: 4, as: UInt32.self)
            guard check == Self.check(length: Int(length), key: key, position: position) else {
                return ReadEnd(position: position, isDamaged: true)
            }
            let payload = unsafe UnsafeRawBufferPointer(
                start: record + Self.recordHeaderBytes,
                count: Int(length)
            )
            unsafe body(key, Span(_unsafeBytes: payload))
            position += UInt64(padded)
        }
        return ReadEnd(position: position, isDamaged: false)
    }

    /// Notes that the records up to `end` are about to be written, the first with this number.
    package func beginBatch(end: UInt64, firstSequence: UInt64) {
        store(Self.batchSequencePlace, firstSequence)
        store(Self.batchEndPlace, end)
    }

    /// Takes the note back: nothing of the batch was written.
    package func cancelBatch() {
        store(Self.batchEndPlace, 0)
    }

    /// Gives the bytes of the records before `end` back to the producer.
    package func finishBatch(end: UInt64) {
        store(Self.tailPlace, end)
    }

    /// Lets what a dead producer has staged count, or drops it: `isAnswered` says of the request
    /// with this key whether its answer exists.
    package func settleStaged(_ isAnswered: (UInt64) -> Bool) {
        let head = load(Self.headPlace, .acquiring)
        let staged = load(Self.stagedPlace, .relaxed)
        guard staged > head else { return }
        var place = place(of: head)
        if unsafe (base + Self.headerBytes + place).load(as: UInt32.self) == Self.wrapMark {
            place = 0
        }
        let key = unsafe (base + Self.headerBytes + place).load(fromByteOffset: 8, as: UInt64.self)
        if isAnswered(key) { publish() } else { store(Self.stagedPlace, head) }
    }

    /// Gives up on everything that waits: a ring that was written over while it is in use.
    package func discardAll() {
        store(Self.tailPlace, load(Self.headPlace, .acquiring))
    }
}
