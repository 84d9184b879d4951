// Which function an address of a library belongs to, read from its file. For crash reports: it is
// read after a crash, by another process, and never in a hurry.

import Bytes

/// The functions of one ELF file, by their addresses.
package struct SymbolTable {
    private struct Function {
        let start, size: UInt64
        let name: String
    }

    private var functions: [Function] = []
    private var segments: [(offset: UInt64, address: UInt64, bytes: UInt64)] = []

    /// Functions of one file; a larger one is a strange one.
    private static let functionsMaximum = 4_000_000

    /// Reads a file; what cannot be read is not in the table.
    package init(_ bytes: [UInt8]) {
        let file = Reader(bytes: bytes)
        guard bytes.count >= 64, bytes.prefix(4) == [0x7f, 0x45, 0x4c, 0x46], bytes[4] == 2,
            let segments = file.number(32, 8), let segmentCount = file.number(56, 2),
            let sections = file.number(40, 8), let sectionCount = file.number(60, 2)
        else { return }
        for index in 0..<segmentCount {
            let place = segments &+ index * 56
            guard file.number(place, 4) == 1, let offset = file.number(place &+ 8, 8),
                let address = file.number(place &+ 16, 8), let size = file.number(place &+ 32, 8)
            else { continue }
            self.segments.append((offset, address, size))
        }
        for index in 0..<sectionCount {
            let place = sections &+ index * 64
            // SHT_SYMTAB and SHT_DYNSYM.
            guard let type = file.number(place &+ 4, 4), type == 2 || type == 11 else { continue }
            read(file, section: place, sections)
        }
        functions.sort { $0.start < $1.start }
    }

    private mutating func read(_ file: Reader, section place: UInt64, _ sections: UInt64) {
        guard let offset = file.number(place &+ 24, 8), let size = file.number(place &+ 32, 8),
            let link = file.number(place &+ 40, 4),
            let names = file.number(sections &+ link &* 64 &+ 24, 8)
        else { return }
        let count = min(size / 24, UInt64(Self.functionsMaximum - functions.count))
        for index in 0..<count {
            let symbol = offset &+ index * 24
            // STT_FUNC with a place of its own.
            guard let info = file.number(symbol &+ 4, 1), info & 15 == 2,
                let start = file.number(symbol &+ 8, 8), start > 0,
                let length = file.number(symbol &+ 16, 8), let name = file.number(symbol, 4)
            else { continue }
            functions.append(
                Function(start: start, size: length, name: file.text(names &+ name))
            )
        }
    }

    /// The function that the byte at an offset of the file belongs to, and how far into it.
    package func function(atOffset offset: UInt64) -> (name: String, distance: UInt64)? {
        guard
            let segment = segments.first(where: {
                $0.offset <= offset && offset - $0.offset < $0.bytes
            })
        else { return nil }
        let address = offset - segment.offset &+ segment.address
        var (low, high) = (0, functions.count)
        while low < high {
            let middle = (low + high) / 2
            if functions[middle].start <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let found = functions[low - 1]
        let distance = address - found.start
        guard distance < max(found.size, 1) else { return nil }
        return (found.name, distance)
    }

    /// Bytes with their bounds.
    private struct Reader {
        let bytes: [UInt8]

        func number(_ offset: UInt64, _ count: Int) -> UInt64? {
            guard offset <= UInt64(bytes.count), UInt64(bytes.count) - offset >= UInt64(count)
            else { return nil }
            return (0..<count).reversed().reduce(0) { $0 << 8 | UInt64(bytes[Int(offset) + $1]) }
        }

        func text(_ offset: UInt64) -> String {
            guard offset < UInt64(bytes.count) else { return "" }
            let rest = bytes[Int(offset)...].prefix(1000)
            return String(decoding: rest.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
