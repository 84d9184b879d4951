// The request log, read back record by record while a host goes on writing it.
//
// It is read in pieces of a fixed size, so a log may be larger than memory. What stands behind the
// last line end is left for the next time: the writer may be in the middle of it, and a host that
// starts cuts off what a dead one has left. Lines that are no records are counted, not shown: the
// files are plain ones, and somebody may have written into them.

import Bytes
import JSON
package import Platform

/// Reads `requests-*.jsonl` of a folder, the oldest file first, and goes on where it stopped.
package struct RequestLogReader: ~Copyable {
    private let folder: String
    /// Files that are read or being read; the one that is being read is `name`.
    private var passed: Set<String> = []
    private var name = ""
    private var file: FileDescriptor?
    /// Whether a newer file was seen, so that nothing more comes into this one.
    private var hasSuccessor = false

    private var buffer: [UInt8] = []
    /// Where the next line begins in the buffer, and where the bytes in it end.
    private var start = 0
    private var end = 0
    /// Where in the file the buffer's bytes end.
    private var offset = 0
    /// Whether the rest of a line is to be passed over.
    private var isInsideLine = false

    private var document = JSONDocument()
    private var record = LoggedRecord()
    private var lastSequence: UInt64 = 0
    /// Records up to this number were handed out before their file was cut.
    private var sequenceHandedOut: UInt64 = 0
    /// How many lines were passed over since they are no records.
    package private(set) var foreignLines = 0
    /// Bytes in the files when the reader was made.
    package private(set) var totalBytes = 0

    /// - Parameters:
    ///   - folder: the log's folder.
    ///   - tail: begin with the first line that begins in so many last bytes; nil: at the front.
    ///   - pieceBytes: how much is read at once; longer lines are no records.
    package init(
        folder: String,
        tail: Int? = nil,
        pieceBytes: Int = 1 << 20
    ) throws(SystemError) {
        self.folder = folder
        buffer = [UInt8](repeating: 0, count: pieceBytes)
        var files: [(name: String, size: Int)] = []
        for name in try RequestLogFiles.names(in: folder) {
            // One that is gone meanwhile is passed over when it is its turn.
            files.append((name, (try? File.facts("\(folder)/\(name)").size) ?? 0))
        }
        totalBytes = files.reduce(0) { $0 + $1.size }
        guard let tail, tail < totalBytes else { return }
        var before = totalBytes - tail
        for (name, size) in files {
            passed.insert(name)
            if before >= size {
                before -= size
                continue
            }
            do {
                try open(name)
            } catch {
                guard error.isNotFound else { throw error }
                // It was removed meanwhile: begin with the next one.
                before = 0
                continue
            }
            // The byte before decides whether a line begins here.
            offset = max(0, before - 1)
            isInsideLine = before > 0
            return
        }
    }

    /// Lends the next record and its line, without the line's end, to `take`. False: there is
    /// none at the moment; ask again later.
    package mutating func next(
        _ take: (LoggedRecord, Span<UInt8>) -> Void
    ) throws(SystemError) -> Bool {
        while true {
            while let line = nextLine() {
                guard Self.read(line, of: buffer, &document, &record) else {
                    foreignLines += 1
                    continue
                }
                lastSequence = record.sequence
                if record.sequence <= sequenceHandedOut { continue }
                take(record, buffer.span.extracting(line))
                return true
            }
            if try fill() { continue }
            guard try openNext() else { return false }
        }
    }

    // MARK: Lines

    /// The next complete line in the buffer.
    private mutating func nextLine() -> Range<Int>? {
        while let lineEnd = lineEnd() {
            let line = start..<lineEnd
            start = lineEnd + 1
            if !isInsideLine { return line }
            isInsideLine = false
        }
        return nil
    }

    /// Reads a line of the buffer as a record. Whether it is one.
    private static func read(
        _ line: Range<Int>,
        of buffer: [UInt8],
        _ document: inout JSONDocument,
        _ record: inout LoggedRecord
    ) -> Bool {
        let text = buffer.span.extracting(line)
        do {
            try document.parse(text)
        } catch {
            return false
        }
        return record.read(document, text)
    }

    private func lineEnd() -> Int? {
        let bytes = buffer.span.extracting(0..<end)
        var index = Bytes.firstControl(in: bytes, from: start)
        while index < end, bytes[index] != 0x0a {
            index = Bytes.firstControl(in: bytes, from: index + 1)
        }
        return index < end ? index : nil
    }

    /// Reads on in the file. Whether there is more to look at.
    private mutating func fill() throws(SystemError) -> Bool {
        if isInsideLine { start = end }
        if start == 0, end == buffer.count {
            foreignLines += 1
            isInsideLine = true
            start = end
        }
        for index in start..<end { buffer[index - start] = buffer[index] }
        (start, end) = (0, end - start)
        guard let count = try file?.read(into: &buffer, from: end, at: offset) else { return false }
        offset += count
        end += count
        if count > 0 { return true }
        // A line without an end is read again from its beginning: it may be cut off and written
        // anew meanwhile.
        offset -= end
        end = 0
        guard let size = try file?.size(), size < offset else { return false }
        // Somebody has cut the file. Nothing tells where it is the same again but the numbers.
        sequenceHandedOut = lastSequence
        offset = 0
        isInsideLine = false
        return true
    }

    // MARK: Files

    private mutating func open(_ next: String) throws(SystemError) {
        file = try File.open("\(folder)/\(next)", access: .read)
        name = next
        (start, end, offset) = (0, 0, 0)
        (isInsideLine, hasSuccessor, sequenceHandedOut) = (false, false, 0)
    }

    /// Goes on with the next file, once this one is complete. Whether there is more to look at.
    private mutating func openNext() throws(SystemError) -> Bool {
        while let next = try successor() {
            if let size = try file?.size() {
                // The writer begins a file when it has done with the one before: what has come
                // into that one since the last look is all that will.
                if !hasSuccessor {
                    hasSuccessor = true
                    return true
                }
                if size > offset { foreignLines += 1 }
            }
            passed.insert(next)
            do {
                try open(next)
                return true
            } catch  where error.isNotFound {
                // It was removed between the two calls.
                continue
            }
        }
        return false
    }

    /// The first file of the folder that is not passed yet.
    private mutating func successor() throws(SystemError) -> String? {
        let names: [String]
        do {
            names = try RequestLogFiles.names(in: folder)
        } catch  where error.isNotFound {
            // The folder is gone; a host makes it again.
            return nil
        }
        passed.formIntersection(names)
        if let isStillNamed = file?.isNamed("\(folder)/\(name)"), !isStillNamed {
            passed.remove(name)
        }
        return names.first { !passed.contains($0) }
    }
}
