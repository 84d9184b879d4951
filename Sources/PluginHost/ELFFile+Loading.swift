// What the loader does with a library before any code of it runs: it writes where relocations say,
// calls what the dynamic section names, and reads tables by the numbers in them. A number that is
// wrong there changes the host's own memory, and a probe may survive what a host does not, so each
// of them is held against the library's own size first.

extension ELFFile {
    #if arch(x86_64)
        /// Relocations of a shared library: absolute, slots, relative, thread-local, indirect.
        private static let relocations: Set<UInt64> = [0, 1, 6, 7, 8, 16, 17, 18, 36, 37]
        private static let indirect: UInt64 = 37
    #elseif arch(arm64)
        private static let relocations: Set<UInt64> = [
            0, 257, 1025, 1026, 1027, 1028, 1029, 1030, 1031, 1032,
        ]
        private static let indirect: UInt64 = 1032
    #endif

    private static let writable: UInt32 = 2
    private static let executable: UInt32 = 1

    /// Refuses numbers that would lead the loader out of the library.
    func checkLoading(symbolCount: UInt64) throws(PluginError) {
        try checkDynamic()
        try checkAddresses()
        for (table, size) in [(UInt64(7), UInt64(8)), (23, 2)] {
            try checkRelocations(table, size, symbolCount)
        }
        try checkPackedRelocations()
        for symbol in symbols { try check(symbol) }
    }

    private func damaged(_ what: String) -> PluginError {
        refuse(what, wanted: "a library as a linker makes it", "copy or build it again")
    }

    /// Whether `count` bytes at an address lie in one segment of the opened library.
    private func holds(_ address: UInt64, _ count: UInt64, _ flags: UInt32 = 0) -> Bool {
        segments.contains { segment in
            segment.type == 1 && segment.flags & flags == flags && address >= segment.address
                && address - segment.address <= segment.memoryBytes
                && count <= segment.memoryBytes - (address - segment.address)
        }
    }

    private func values(_ tag: UInt64) -> [UInt64] {
        dynamic.filter { $0.tag == tag }.map(\.value)
    }

    /// The tags that mean one thing stand once, with the sizes that this machine's tables have.
    private func checkDynamic() throws(PluginError) {
        let once: [UInt64] = [
            2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 20, 23, 25, 26, 27, 28, 35, 36, 37,
            0x6fff_fef5, 0x6fff_fff0, 0x6fff_fffe, 0x6fff_ffff,
        ]
        for tag in once where values(tag).count > 1 {
            throw damaged("a dynamic section with the tag \(tag) twice")
        }
        // Sizes of a symbol and of relocations, and which kind the slots have.
        let fixed: [(tag: UInt64, value: UInt64)] = [(11, 24), (9, 24), (37, 8), (20, 7)]
        for (tag, value) in fixed where values(tag).contains(where: { $0 != value }) {
            throw damaged("a dynamic section whose tag \(tag) is not \(value)")
        }
        for segment in segments where segment.type == 2 {
            guard
                fileOffset(ofAddress: segment.address, count: segment.fileBytes)
                    == segment.offset
            else {
                throw damaged("a dynamic section that lies elsewhere in memory than in the file")
            }
        }
    }

    /// What is called or read by its address lies in the library.
    private func checkAddresses() throws(PluginError) {
        for tag in [UInt64(12), 13] {  // DT_INIT, DT_FINI
            for value in values(tag) where !holds(value, 1, Self.executable) {
                throw damaged("an initialiser outside the library's code")
            }
        }
        // Strings, symbols, hash tables, version tables, slots.
        for tag in [UInt64(3), 4, 5, 6, 0x6fff_fef5, 0x6fff_fff0, 0x6fff_fffc, 0x6fff_fffe] {
            for value in values(tag) where !holds(value, 1) {
                throw damaged("a table outside the library")
            }
        }
        for segment in segments where segment.type == 0x6474_e552 || segment.type == 7 {
            // Linkers let read-only data end with its page.
            let isRelro = segment.type == 0x6474_e552
            let bytes = isRelro ? segment.memoryBytes & ~4095 : segment.fileBytes
            guard holds(segment.address, bytes) else {
                throw damaged("a segment outside the library")
            }
            guard segment.type != 7 || segment.memoryBytes <= 1 << 24 else {
                throw damaged("\(segment.memoryBytes) bytes of thread-local data")
            }
        }
    }

    /// A table of relocations with addends: each writes to the library's own data.
    private func checkRelocations(
        _ tableTag: UInt64,
        _ sizeTag: UInt64,
        _ symbolCount: UInt64
    ) throws(PluginError) {
        guard let table = values(tableTag).first, let size = values(sizeTag).first, size > 0 else {
            return
        }
        guard size % 24 == 0, let start = fileOffset(ofAddress: table, count: size) else {
            throw damaged("a table of relocations that does not end")
        }
        for at in stride(from: start, to: start + size, by: 24) {
            guard let place = number(at, 8), let info = number(at + 8, 8),
                let addend = number(at + 16, 8)
            else { throw damaged("a table of relocations that does not end") }
            let type = info & 0xffff_ffff
            guard Self.relocations.contains(type) else {
                throw damaged("a relocation of type \(type)")
            }
            if type == 0 { continue }
            guard holds(place, 8, Self.writable) else {
                throw damaged("a relocation that would write outside the library's data")
            }
            guard info >> 32 < max(symbolCount, 1) else {
                throw damaged("a relocation by a symbol that is not there")
            }
            // The loader calls what an indirect one names. Other values are only data: Swift keeps
            // marks in the high bits of its pointers to literals.
            guard type != Self.indirect || holds(addend, 1, Self.executable) else {
                throw damaged("a relocation by a function outside the library")
            }
        }
    }

    /// The packed table of relative relocations (DT_RELR): an address, then bitmaps of the words
    /// behind it.
    private func checkPackedRelocations() throws(PluginError) {
        guard let table = values(36).first, let size = values(35).first, size > 0 else { return }
        guard size % 8 == 0, let start = fileOffset(ofAddress: table, count: size) else {
            throw damaged("a table of relocations that does not end")
        }
        var next: UInt64?
        for at in stride(from: start, to: start + size, by: 8) {
            guard let entry = number(at, 8) else { return }
            if entry & 1 == 0 {
                guard holds(entry, 8, Self.writable) else {
                    throw damaged("a relocation that would write outside the library's data")
                }
                next = entry + 8
                continue
            }
            guard let word = next else { throw damaged("a relocation without a place") }
            for bit in UInt64(0)..<63 where entry >> (bit + 1) & 1 == 1 {
                guard holds(word + bit * 8, 8, Self.writable) else {
                    throw damaged("a relocation that would write outside the library's data")
                }
            }
            next = word + 63 * 8
        }
    }

    /// A symbol that the library defines lies in it; 0xfff1 are constants, type 6 is thread-local.
    private func check(_ symbol: Symbol) throws(PluginError) {
        guard symbol.section < 0xff00, symbol.type != 6 else { return }
        let isFunction = symbol.type == 2 || symbol.type == 10
        guard holds(symbol.value, 0, isFunction ? Self.executable : 0) else {
            throw damaged("the symbol '\(symbol.name)' outside the library")
        }
    }
}
