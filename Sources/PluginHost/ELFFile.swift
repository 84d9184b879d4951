// What is in a shared library's file, read before anything of it is opened.
//
// The loader trusts a file: of 1,500 small mutations of a good library 257 were measured to kill
// the process inside `dlopen`, a truncated one ends in SIGBUS, and constructors run before the
// caller can ask anything. So the file is read here first: every offset must lie inside it, and
// properties that would weaken the whole process (an executable stack, writable code) are refused.
//
// Only bounds-checked reads of an array: no pointer, and nothing is mapped.

import Bytes

/// A checked shared library for this machine.
package struct ELFFile {
    /// A part of the file that is mapped when the library is opened.
    struct Segment {
        let type, flags: UInt32
        let offset, address, fileBytes, memoryBytes, alignment: UInt64
    }

    /// A symbol that the library defines and shows to others.
    struct Symbol {
        let name: String
        let value, size: UInt64
        let section: UInt16
        let binding, type: UInt8
    }

    let path: String
    let bytes: [UInt8]
    private(set) var segments: [Segment] = []
    private(set) var dynamic: [(tag: UInt64, value: UInt64)] = []
    private(set) var symbols: [Symbol] = []
    /// Names of the libraries that it needs.
    package private(set) var neededLibraries: [String] = []

    private static let rebuild = "build it again as a shared library for this machine"

    #if arch(x86_64)
        static let machine: (number: UInt16, name: String) = (62, "x86-64")
    #elseif arch(arm64)
        static let machine: (number: UInt16, name: String) = (183, "AArch64")
    #endif

    /// Reads and checks a library's bytes; `path` is only for the sentences.
    package init(path: String, bytes: [UInt8]) throws(PluginError) {
        self.path = path
        self.bytes = bytes
        try checkHeader()
        try checkSections()
        try readSegments()
        try readDynamic()
        let symbolCount = try readSymbols()
        try checkRunPaths()
        try checkLoading(symbolCount: symbolCount)
    }

    /// Names of the symbols that the library shows to others.
    package var exportedNames: [String] { symbols.map(\.name) }

    func refuse(_ found: String, wanted: String, _ advice: String) -> PluginError {
        PluginError(file: path, found: found, wanted: wanted, advice: advice)
    }

    // MARK: Reading

    /// A little-endian number of `count` bytes; nil beyond the end.
    func number(_ offset: UInt64, _ count: Int) -> UInt64? {
        guard offset <= UInt64(bytes.count), UInt64(bytes.count) - offset >= UInt64(count) else {
            return nil
        }
        var value: UInt64 = 0
        for index in (0..<count).reversed() {
            value = value << 8 | UInt64(bytes[Int(offset) + index])
        }
        return value
    }

    private func required(
        _ offset: UInt64,
        _ count: Int,
        _ what: String
    ) throws(PluginError) -> UInt64 {
        guard let value = number(offset, count) else {
            throw refuse(
                "\(what) beyond the end of the file (\(bytes.count) bytes)",
                wanted: "a complete file",
                "copy or build it again"
            )
        }
        return value
    }

    /// Where the byte at an address of the opened library stands in the file, if `count` bytes do.
    func fileOffset(ofAddress address: UInt64, count: UInt64) -> UInt64? {
        for segment in segments where segment.type == 1 && address >= segment.address {
            let distance = address - segment.address
            if distance <= segment.fileBytes, count <= segment.fileBytes - distance {
                return segment.offset + distance
            }
        }
        return nil
    }

    // MARK: Header and segments

    private func checkHeader() throws(PluginError) {
        guard bytes.count >= 64, bytes[0] == 0x7f, bytes[1] == 0x45, bytes[2] == 0x4c,
            bytes[3] == 0x46
        else {
            throw refuse("no ELF file", wanted: "a shared library", Self.rebuild)
        }
        guard bytes[4] == 2, bytes[5] == 1 else {
            throw refuse(
                bytes[4] == 1 ? "a 32-bit library" : "a library of another byte order",
                wanted: "a 64-bit little-endian one",
                Self.rebuild
            )
        }
        let machine = try required(18, 2, "the header")
        guard machine == UInt64(Self.machine.number) else {
            throw refuse(
                "code for machine \(machine)",
                wanted: "code for \(Self.machine.name) (\(Self.machine.number))",
                Self.rebuild
            )
        }
        let type = try required(16, 2, "the header")
        guard type == 3 else {
            let kind = [1: "an object file", 2: "an executable", 4: "a core dump"][type]
            throw refuse(
                kind ?? "a file of type \(type)",
                wanted: "a shared library",
                "link it with -shared (C) or as a dynamic library product (Swift)"
            )
        }
    }

    /// The table of sections stands at the end of a file, so a file that was cut lacks it.
    private func checkSections() throws(PluginError) {
        let table = try required(40, 8, "the header")
        let bytes = try required(58, 2, "the header") * required(60, 2, "the header")
        guard table != 0, bytes != 0 else { return }
        guard let end = sum(table, bytes), end <= UInt64(self.bytes.count) else { throw truncated }
    }

    private mutating func readSegments() throws(PluginError) {
        let table = try required(32, 8, "the header")
        let entryBytes = try required(54, 2, "the header")
        let count = try required(56, 2, "the header")
        guard entryBytes == 56, count > 0, count <= 128 else {
            throw refuse(
                "\(count) program headers of \(entryBytes) bytes",
                wanted: "1 to 128 of 56 bytes",
                "copy or build it again"
            )
        }
        var lastEnd: UInt64 = 0
        var hasStack = false
        for index in 0..<count {
            guard let at = sum(table, index * 56) else {
                throw truncated
            }
            let segment = Segment(
                type: UInt32(try required(at, 4, "a program header")),
                flags: UInt32(try required(at + 4, 4, "a program header")),
                offset: try required(at + 8, 8, "a program header"),
                address: try required(at + 16, 8, "a program header"),
                fileBytes: try required(at + 32, 8, "a program header"),
                memoryBytes: try required(at + 40, 8, "a program header"),
                alignment: try required(at + 48, 8, "a program header")
            )
            try check(segment, &lastEnd, &hasStack)
            segments.append(segment)
        }
        guard hasStack else {
            throw refuse(
                "no PT_GNU_STACK header, which asks for an executable stack",
                wanted: "a stack without code",
                "link it with -z noexecstack"
            )
        }
        guard segments.contains(where: { $0.type == 1 }) else { throw truncated }
    }

    private var truncated: PluginError {
        refuse("a file that ends too early", wanted: "a complete file", "copy or build it again")
    }

    private func sum(_ a: UInt64, _ b: UInt64) -> UInt64? {
        let (result, overflow) = a.addingReportingOverflow(b)
        return overflow ? nil : result
    }

    private func check(
        _ segment: Segment,
        _ lastEnd: inout UInt64,
        _ hasStack: inout Bool
    ) throws(PluginError) {
        switch segment.type {
        case 1:  // PT_LOAD
            guard let end = sum(segment.offset, segment.fileBytes), end <= UInt64(bytes.count),
                segment.fileBytes <= segment.memoryBytes,
                let last = sum(segment.address, segment.memoryBytes), last < 1 << 40,
                segment.address >= lastEnd, segment.alignment.nonzeroBitCount == 1,
                segment.alignment % 4096 == 0, segment.alignment <= 1 << 30,
                segment.address % segment.alignment == segment.offset % segment.alignment
            else { throw truncated }
            lastEnd = last
            if segment.flags & 3 == 3 {
                throw refuse(
                    "a segment that is writable and executable",
                    wanted: "code that cannot change",
                    "link it without -z execstack, -N or a custom linker script"
                )
            }
        case 0x6474_e551:  // PT_GNU_STACK
            hasStack = true
            if segment.flags & 1 == 1 {
                throw refuse(
                    "an executable stack",
                    wanted: "a stack without code",
                    "link it with -z noexecstack"
                )
            }
        case 3:  // PT_INTERP
            throw refuse(
                "an executable (it names a program interpreter)",
                wanted: "a shared library",
                Self.rebuild
            )
        case 2, 7, 0x6474_e552:  // PT_DYNAMIC, PT_TLS, PT_GNU_RELRO
            guard let end = sum(segment.offset, segment.fileBytes), end <= UInt64(bytes.count)
            else {
                throw truncated
            }
        default: break
        }
    }

    // MARK: The dynamic section

    private func entry(_ tag: UInt64) -> UInt64? {
        dynamic.first { $0.tag == tag }?.value
    }

    private mutating func readDynamic() throws(PluginError) {
        guard let segment = segments.first(where: { $0.type == 2 }) else {
            throw refuse("no dynamic section", wanted: "a shared library", Self.rebuild)
        }
        var at = segment.offset
        let end = segment.offset + segment.fileBytes
        while at + 16 <= end {
            let tag = try required(at, 8, "the dynamic section")
            if tag == 0 { break }
            dynamic.append((tag, try required(at + 8, 8, "the dynamic section")))
            at += 16
            if dynamic.count > 1000 { throw truncated }
        }
        // 22 is DT_TEXTREL; bit 2 of 30, DT_FLAGS, says the same.
        if entry(22) != nil || (entry(30) ?? 0) & 4 != 0 {
            throw refuse(
                "relocations in code (DT_TEXTREL)",
                wanted: "position-independent code",
                "compile every part of it with -fPIC"
            )
        }
        // Tables by address and size: relocations (7/8, 23/2), initialisers (25/27, 26/28), RELR.
        let tables: [(address: UInt64, size: UInt64)] = [
            (7, 8), (23, 2), (25, 27), (26, 28), (36, 35), (5, 10),
        ]
        for table in tables {
            guard let address = entry(table.address), let size = entry(table.size), size > 0 else {
                continue
            }
            guard fileOffset(ofAddress: address, count: size) != nil else { throw truncated }
        }
        for (tag, value) in dynamic where tag == 1 {
            neededLibraries.append(try string(value))
        }
    }

    /// A string of the dynamic string table.
    func string(_ offset: UInt64) throws(PluginError) -> String {
        guard let table = entry(5), let size = entry(10), offset < size,
            let start = fileOffset(ofAddress: table, count: size)
        else { throw truncated }
        let text = bytes[Int(start + offset)..<Int(start + size)].prefix { $0 != 0 }
        guard text.count < 4096 else { throw truncated }
        return String(decoding: text, as: UTF8.self)
    }

    private func checkRunPaths() throws(PluginError) {
        for (tag, value) in dynamic where tag == 15 || tag == 29 {
            for part in try string(value).split(separator: ":") {
                let isFine =
                    part.hasPrefix("/") || part.hasPrefix("$ORIGIN")
                    || part.hasPrefix("${ORIGIN}")
                guard isFine else {
                    throw refuse(
                        "the relative run path '\(part)'",
                        wanted: "an absolute one or $ORIGIN",
                        "link it with -rpath '$ORIGIN/…' or without a run path"
                    )
                }
            }
        }
    }

    // MARK: Symbols

    /// Reads what the library shows to others; returns how many dynamic symbols there are.
    private mutating func readSymbols() throws(PluginError) -> UInt64 {
        guard let table = entry(6), let count = try symbolCount(),
            let start = fileOffset(ofAddress: table, count: count * 24)
        else { throw truncated }
        for index in 0..<count {
            let at = start + index * 24
            let info = UInt8(try required(at + 4, 1, "a symbol"))
            let section = UInt16(try required(at + 6, 2, "a symbol"))
            let binding = info >> 4
            guard section != 0, binding != 0 else { continue }
            let name = try string(try required(at, 4, "a symbol"))
            if binding == 10 {
                throw refuse(
                    "the unique symbol '\(name)', which two versions would share",
                    wanted: "no symbols of binding GNU_UNIQUE",
                    "compile it with -fno-gnu-unique, or export only the contract's two symbols"
                )
            }
            symbols.append(
                Symbol(
                    name: name,
                    value: try required(at + 8, 8, "a symbol"),
                    size: try required(at + 16, 8, "a symbol"),
                    section: section,
                    binding: binding,
                    type: info & 15
                )
            )
        }
        return count
    }

    /// How many dynamic symbols there are: the hash tables are the only ones that know.
    private func symbolCount() throws(PluginError) -> UInt64? {
        if let hash = entry(4), let at = fileOffset(ofAddress: hash, count: 8) {
            let chains = try required(at + 4, 4, "the symbol hash table")
            return chains <= 1 << 24 ? chains : nil
        }
        guard let hash = entry(0x6fff_fef5), let at = fileOffset(ofAddress: hash, count: 16) else {
            return nil
        }
        let buckets = try required(at, 4, "the symbol hash table")
        let first = try required(at + 4, 4, "the symbol hash table")
        let blooms = try required(at + 8, 4, "the symbol hash table")
        guard buckets > 0, buckets <= 1 << 24, blooms.nonzeroBitCount == 1, blooms <= 1 << 24
        else { return nil }
        let bucketsAt = at + 16 + blooms * 8
        var highest: UInt64 = 0
        for index in 0..<buckets {
            let symbol = try required(bucketsAt + index * 4, 4, "the symbol hash table")
            highest = max(highest, symbol)
        }
        guard highest >= first else { return first }
        // The chain of the highest bucket ends with an odd hash.
        let chainsAt = bucketsAt + buckets * 4
        while highest < 1 << 24 {
            let hash = try required(
                chainsAt + (highest - first) * 4,
                4,
                "the symbol hash table"
            )
            highest += 1
            if hash & 1 == 1 { return highest }
        }
        return nil
    }
}
