// Rings that a dead process has left: whatever is in them, the next host starts, and its request
// log stays a file of whole lines.
//
// The first byte of an input chooses how the ring's file is made: from the numbers of its header
// and the bytes behind them, or by the ring itself from records, with some bytes written over at
// the end. So the mutations come past the header's checks, and past the check of each record.

import FuzzSupport
import Logging
import Platform
import Serving

/// Runs one input.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    do {
        try LogRingFuzzer.run(input)
    } catch {
        fatalError("the host does not start: \(error)")
    }
    return 0
}

private enum LogRingFuzzer {
    private static let parent = CurrentProcess.environment("TMPDIR") ?? "/tmp"

    static func run(_ input: [UInt8]) throws {
        let folder = try Directory.createTemporary(in: parent, prefix: "switchyard-fuzz-")
        defer { try? Directory.removeAll(folder) }
        try Directory.create("\(folder)/rings")
        try Directory.create("\(folder)/logs")
        var choices = Choices(input)
        let way = choices.byte()
        // What the process before has logged, perhaps with a torn line at the end.
        let before = way & 2 == 0 ? [] : choices.bytes(Int(choices.byte()))
        let log = "\(folder)/logs/requests-000000000001.jsonl"
        if way & 4 != 0 { try File.writeNew(log, before) }
        let ring = "\(folder)/rings/ring-1-0.bin"
        if way & 1 == 0 {
            try File.writeNew(ring, composed(&choices))
        } else {
            try record(&choices, in: ring)
        }
        let files = try RequestLogFiles(
            folder: "\(folder)/logs",
            bytesMaximum: way & 8 == 0 ? 1 << 20 : 300,
            ageNanoseconds: .max,
            keep: .files(100)
        )
        let first = files.nextSequence
        let replayed = try LogRings.replay(
            folder: "\(folder)/rings",
            into: files,
            log: EventLog { _ in }
        )
        Property.require(replayed.pending.isEmpty, "nothing waits for a log that can be written")
        Property.require(files.nextSequence == first + replayed.count, "every record has a number")
        let left = try Directory.names(in: "\(folder)/rings")
        Property.require(left.allSatisfy { $0.hasSuffix(".damaged") }, "the ring is done: \(left)")
        let kept = way & 4 == 0 ? [] : before
        try check(folder, kept, isPlain: way & 1 == 1, first, replayed.count)
    }

    /// A ring's file from the numbers of its header and the bytes behind them.
    private static func composed(_ choices: inout Choices) -> [UInt8] {
        let flags = choices.byte()
        let numbers = (0..<5).map { _ in choices.number() }
        var records = Array(choices.rest)
        if flags & 1 == 0 { records += [UInt8](repeating: 0, count: -records.count & 7) }
        var file = [UInt8](repeating: 0, count: 4096) + records
        // Head and tail are small numbers mostly, so that many of them can be a ring's.
        let mask: UInt64 = flags & 2 == 0 ? 0xfff8 : .max
        put(0x31_47_4e_49_52_59_57_53, 0, in: &file)
        put(flags & 8 == 0 ? 2 : 1, 8, in: &file)
        put(flags & 16 == 0 ? 0 : numbers[4] & mask, 72, in: &file)
        put(flags & 4 == 0 ? UInt64(records.count) : numbers[3], 16, in: &file)
        for (place, number) in zip([64, 128, 192], numbers) { put(number & mask, place, in: &file) }
        put(numbers[3], 200, in: &file)
        put(numbers[4], 256, in: &file)
        return file
    }

    /// A ring that its own functions have filled; then some of its bytes are written over.
    private static func record(_ choices: inout Choices, in path: String) throws {
        let ring = try LogRing(creating: path, capacity: 4096)
        while !choices.rest.isEmpty {
            let step = choices.byte()
            if step < 0xc0 {
                // A host's records have no line end in them: everything is escaped.
                let text = choices.bytes(Int(step) * 4).map { $0 == 0x0a ? 0x20 : $0 }
                if !ring.append(text.span, key: UInt64(step)) { ring.countLost() }
                continue
            }
            let end = ring.read(upTo: nil, bytes: Int(choices.byte()) * 16) { _ in }.position
            if step < 0xe0 { ring.beginBatch(end: end, firstSequence: UInt64(step & 31)) }
            if step >= 0xd0, step < 0xf0 { ring.finishBatch(end: end) }
            if step >= 0xf0 { break }
        }
        var file = try File.read(path, limit: 1 << 20)
        while !choices.rest.isEmpty {
            let place = (Int(choices.byte()) << 8 | Int(choices.byte())) % file.count
            let byte = choices.byte()
            file[place] = byte == 0x0a ? 0x20 : byte
        }
        try File.remove(path)
        try File.writeNew(path, file)
    }

    private static func put(_ number: UInt64, _ place: Int, in file: inout [UInt8]) {
        for index in 0..<8 {
            file[place + index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index))
        }
    }

    /// The log is what it was up to its last whole line, then the new records, each a whole line.
    ///
    /// Is `isPlain` false, the records themselves may have line ends in them.
    private static func check(
        _ folder: String,
        _ before: [UInt8],
        isPlain: Bool,
        _ first: UInt64,
        _ count: UInt64
    ) throws {
        var log: [UInt8] = []
        for name in try Directory.names(in: "\(folder)/logs") {
            let text = try File.read("\(folder)/logs/\(name)", limit: 1 << 22)
            Property.require(text.isEmpty || text.last == 0x0a, "\(name) ends with a whole line")
            log += text
        }
        let kept = before.lastIndex(of: 0x0a).map { Array(before[...$0]) } ?? []
        Property.require(log.starts(with: kept), "what was logged stays")
        guard isPlain else { return }
        var next = first
        for line in log[kept.count...].split(separator: 0x0a) {
            Property.require(line.starts(with: Array("{\"time\":\"".utf8)), "a line is a record's")
            // The time's text is 27 bytes, here whatever they are.
            let number = line.dropFirst(9 + 27)
            Property.require(
                number.starts(with: Array("\",\"sequence\":\(next)".utf8)),
                "\(next) is followed by \(String(decoding: line, as: UTF8.self))"
            )
            next += 1
        }
        Property.require(next == first + count, "\(next - first) lines for \(count) records")
    }
}
