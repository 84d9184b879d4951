// An opened plugin: its file was checked, its table was read and found complete.

import CModelABI
import Platform
import Synchronization

/// A shared library that has passed the handshake. It stays in the process for good.
///
/// SAFETY: `table` is a copy, made once in `init`. The functions in it belong to a library that is
/// never closed. Which thread may call which of them is the contract's business and
/// `ModelInstance`'s.
@safe
package final class Plugin: @unchecked Sendable {
    /// The file it was opened from.
    package let path: String
    /// What the file said of itself before it was opened.
    package let tag: PluginTag
    /// The JSON text that `describe` returned.
    package let description: [UInt8]
    let table: model_plugin
    /// How it takes tensors as they are; nil: it does not.
    let tensors: TensorTable?
    /// The JSON text that says which tensors it takes as they are; nil: none.
    package var tensorsDescription: [UInt8]? { tensors?.description }
    private let library: SharedLibrary
    private let isInTurn = Atomic<Bool>(false)

    // MARK: Turns

    /// Whether one of the functions is running that the contract calls one at a time.
    package var isBusy: Bool { isInTurn.load(ordering: .relaxed) }

    /// Runs one of those functions once no other one of this plugin runs; nil: one has not come
    /// back within the time.
    func inTurn<R>(nanoseconds: UInt64, _ body: () throws -> R) rethrows -> R? {
        let limit = MonotonicClock.now() + min(nanoseconds, 1 << 62)
        while isInTurn.exchange(true, ordering: .acquiring) {
            guard MonotonicClock.now() < limit else { return nil }
            MonotonicClock.sleep(nanoseconds: 500_000)
        }
        defer { isInTurn.store(false, ordering: .releasing) }
        return try body()
    }

    // MARK: Opening

    /// Bytes that a table must cover: up to and including `destroy`, the last required function.
    private static let tableBytesMinimum = 64
    private static let descriptionBytesMaximum = 1 << 20

    /// Opens a plugin from a file whose bytes were hashed, checked and probed by the caller.
    ///
    /// - Parameters:
    ///   - path: where the bytes lie; the loader maps this file.
    ///   - bytes: the same file's bytes, for the check.
    ///   - shownAs: the path that sentences name.
    package init(path: String, bytes: [UInt8], shownAs: String) throws(PluginError) {
        let file = try ELFFile(path: shownAs, bytes: bytes)
        tag = try PluginTag(of: file)
        do {
            library = try SharedLibrary(path: path)
        } catch {
            throw PluginError(
                file: shownAs,
                found: "a library that the loader refuses: \(error.text)",
                wanted: "a library with all that it needs on this machine",
                advice: "install what is missing, or link it statically"
            )
        }
        guard let symbol = unsafe library.symbol(PluginTag.entrySymbol) else {
            throw file.refuse(
                "no symbol \(PluginTag.entrySymbol) after opening",
                wanted: "the function that the file promised",
                "build it again"
            )
        }
        typealias Entry =
            @convention(c) (UnsafePointer<model_host>?) -> UnsafePointer<model_plugin>?
        let entry = unsafe unsafeBitCast(symbol, to: Entry.self)
        guard let given = unsafe entry(HostTable.shared.pointer) else {
            throw file.refuse(
                "a plugin whose \(PluginTag.entrySymbol) returned NULL",
                wanted: "its table of functions",
                "see its log lines for the reason"
            )
        }
        unsafe table = try Self.copy(given, file)
        self.path = path
        description = unsafe try Self.text(table.describe?(), of: "a describe()", file)
        tensors = try TensorTable.ask(table, file)
    }

    /// Copies the part of the table that both sides know, and checks what must be there.
    private static func copy(
        _ given: UnsafePointer<model_plugin>,
        _ file: ELFFile
    ) throws(PluginError) -> model_plugin {
        let size = unsafe given.pointee.size
        guard size >= tableBytesMinimum else {
            throw file.refuse(
                "a table of \(size) bytes",
                wanted: "at least \(tableBytesMinimum)",
                "set its first field to sizeof(model_plugin)"
            )
        }
        var table = model_plugin()
        let known = min(Int(size), MemoryLayout<model_plugin>.size)
        unsafe withUnsafeMutableBytes(of: &table) { target in
            unsafe target.copyMemory(from: UnsafeRawBufferPointer(start: given, count: known))
        }
        guard table.major == ContractVersion.major,
            table.minor <= ContractVersion.minor
        else {
            throw file.refuse(
                "a table for contract \(table.major).\(table.minor)",
                wanted: "\(ContractVersion.major).\(ContractVersion.minor) or older",
                "build tag and table with the same model_plugin.h"
            )
        }
        let missing = unsafe [
            table.describe == nil ? "describe" : nil,
            table.create == nil ? "create" : nil,
            table.predict == nil ? "predict" : nil,
            table.destroy == nil ? "destroy" : nil,
        ].compactMap { $0 }
        guard missing.isEmpty else {
            throw file.refuse(
                "a table without \(missing.joined(separator: ", "))",
                wanted: "every required function",
                "fill in the table that the entry returns"
            )
        }
        return table
    }

    /// A terminated text that a plugin has returned.
    static func text(
        _ given: UnsafePointer<CChar>?,
        of what: String,
        _ file: ELFFile
    ) throws(PluginError) -> [UInt8] {
        guard let text = unsafe given else {
            throw file.refuse(
                "\(what) that returned NULL",
                wanted: "a JSON object",
                "return at least \"{}\""
            )
        }
        var bytes: [UInt8] = []
        while unsafe text[bytes.count] != 0 {
            bytes.append(UInt8(bitPattern: unsafe text[bytes.count]))
            if bytes.count > descriptionBytesMaximum {
                throw file.refuse(
                    "\(what) without an end within 1 MiB",
                    wanted: "a terminated JSON object",
                    "return a terminated string"
                )
            }
        }
        return bytes
    }
}
