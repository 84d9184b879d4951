import JSON
import Platform
import Serving
import TestSupport
import Testing

/// Reading the request log back, in pieces and at any moment.
struct RequestLogReaderTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func record(_ sequence: Int) -> LogRecordText {
        LogRecordText {
            $0.sequence = sequence
            // Lines of many lengths.
            $0.id = String(repeating: "x", count: sequence % 97)
        }
    }

    private func write(_ first: Int, _ lines: [String]) throws {
        let number = String(first)
        let name = "requests-\(String(repeating: "0", count: 12 - number.count))\(number).jsonl"
        let file = try File.open("\(folder.path)/\(name)", access: .append)
        try file.writeAll(Array(lines.joined().utf8).span)
    }

    private func rest(_ reader: inout RequestLogReader) throws -> [UInt64] {
        var numbers: [UInt64] = []
        while try reader.next({ record, _ in numbers.append(record.sequence) }) {}
        return numbers
    }

    @Test func `whatever the size of a piece, every record comes once and in order`() throws {
        try write(1, (1...100).map { record($0).line })
        try write(101, (101...150).map { record($0).line })
        for pieceBytes in stride(from: 500, to: 1000, by: 13) + [4096, 1 << 20] {
            var reader = try RequestLogReader(folder: folder.path, pieceBytes: pieceBytes)
            #expect(try rest(&reader) == Array(1...150), "\(pieceBytes)")
            #expect(reader.foreignLines == 0, "\(pieceBytes)")
        }
    }

    @Test func `a tail begins with the first line that begins in it, whatever its size`() throws {
        let lines = (1...20).map { record($0).line }
        try write(1, Array(lines[..<12]))
        try write(13, Array(lines[12...]))
        let total = lines.reduce(0) { $0 + $1.utf8.count }
        for tail in stride(from: 0, through: total + 10, by: 3) {
            var reader = try RequestLogReader(folder: folder.path, tail: tail)
            var first = 20
            var bytes = 0
            while first > 0, bytes + lines[first - 1].utf8.count <= tail {
                bytes += lines[first - 1].utf8.count
                first -= 1
            }
            #expect(try rest(&reader) == (first..<20).map { UInt64($0 + 1) }, "\(tail)")
            #expect(reader.totalBytes == total)
        }
    }

    @Test func `a line that is longer than a piece is passed over as one`() throws {
        let long = String(repeating: "y", count: 5000)
        try write(1, [record(1).line, long, long, "\n", record(2).line])
        var reader = try RequestLogReader(folder: folder.path, pieceBytes: 1000)
        #expect(try rest(&reader) == [1, 2])
        #expect(reader.foreignLines == 1)
    }

    @Test func `a half line waits for its other half, or for another one`() throws {
        let half = String(record(2).line.prefix(100))
        try write(1, [record(1).line, half])
        var reader = try RequestLogReader(folder: folder.path)
        #expect(try rest(&reader) == [1])
        #expect(try rest(&reader) == [])
        try write(1, [String(record(2).line.dropFirst(100)), half])
        #expect(try rest(&reader) == [2])
        // A host that starts cuts the half line off, and writes what it likes there.
        let file = "\(folder.path)/requests-000000000001.jsonl"
        let size = try File.facts(file).size
        try File.open(file, access: .append).truncate(to: size - 100)
        try write(1, [record(3).line])
        #expect(try rest(&reader) == [3])
        #expect(reader.foreignLines == 0)
    }

    @Test func `records whose write is taken back and done again come once`() throws {
        try write(1, (1...5).map { record($0).line })
        var reader = try RequestLogReader(folder: folder.path)
        #expect(try rest(&reader) == [1, 2, 3, 4, 5])
        let file = "\(folder.path)/requests-000000000001.jsonl"
        try File.open(file, access: .append).truncate(
            to: record(1).line.utf8.count + record(2).line.utf8.count
        )
        #expect(try rest(&reader) == [])
        try write(1, (3...7).map { record($0).line })
        #expect(try rest(&reader) == [6, 7])
    }

    @Test func `files come and go while the log is followed`() throws {
        try write(1, [record(1).line])
        var reader = try RequestLogReader(folder: folder.path)
        #expect(try rest(&reader) == [1])
        // The old file grows once more before the next one is begun.
        try write(1, [record(2).line])
        try write(3, [record(3).line])
        try write(4, [record(4).line])
        #expect(try rest(&reader) == [2, 3, 4])
        // A file that was never seen goes before it is read; that is no end.
        try write(5, [record(5).line])
        for name in try Directory.names(in: folder.path) where !name.hasSuffix("05.jsonl") {
            try File.remove("\(folder.path)/\(name)")
        }
        #expect(try rest(&reader) == [5])
        // The whole folder goes, and a new host begins with 1 again.
        try Directory.removeAll(folder.path)
        #expect(try rest(&reader) == [])
        try Directory.create(folder.path)
        try write(1, [record(1).line, record(2).line])
        #expect(try rest(&reader) == [1, 2])
        // The same name again, with another file behind it.
        try File.remove("\(folder.path)/requests-000000000001.jsonl")
        try write(1, [record(1).line])
        #expect(try rest(&reader) == [1])
        #expect(reader.foreignLines == 0)
    }

    @Test func `what is no record is counted, whatever it looks like`() throws {
        let good = record(1).line
        let foreign = [
            "hello\n", "\n", "{}\n", "[]\n", "1\n", "{\"time\":1}\n",
            good.replacing("\"status\":200", with: "\"status\":\"200\""),
            good.replacing("\"status\":200", with: "\"status\":2e2"),
            good.replacing("\"time\":\"2026-11-21T03:00:00.000000Z\"", with: "\"time\":\"now\""),
            good.replacing("2026-11-21T03:00:00.000000Z", with: "2026-11-21T03:00:0d.000000Z"),
            good.replacing("2026-11-21T03:00:00.000000Z", with: "2026-11-21T03:00\\ud83d\\ude00"),
            good.replacing("2026-11-21T03", with: "2026-11-21 03"),
            good.replacing("\"sequence\":1,", with: ""),
            good.replacing("\"results\":[{", with: "\"results\":[1,{"),
            good.replacing("\"version\":1}", with: "\"version\":\"1\"}"),
            good.replacing("\"subjectId\":\"7\"", with: "\"subjectId\":7"),
            String(good.dropLast(2)) + "\n", good.dropLast() + " x\n",
        ]
        for line in foreign { #expect(line != good) }
        try write(1, [good] + foreign + [good.replacing("\"sequence\":1", with: "\"sequence\":2")])
        var reader = try RequestLogReader(folder: folder.path)
        #expect(try rest(&reader) == [1, 2])
        #expect(reader.foreignLines == foreign.count)
    }
}
