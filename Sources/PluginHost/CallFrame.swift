// What one call of a model needs from the host: the values that go in, the writer that takes what
// comes out. A thread keeps its frames and uses them again, so that a call allocates nothing.

import Bytes
import CModelABI
import JSON
import Platform

/// How a row ended.
package enum ModelStatus: Int32, Sendable {
    case ok = 0
    case invalidInput, unavailable, deadline, cancelled, unsupported, internalError
}

/// The reusable memory of calls, one at a time.
///
/// SAFETY: a frame belongs to one thread. `values`, `scratch` and `result` are allocated by it,
/// grown only between calls (the first two) or by the writer's functions (the third), and freed in
/// `deinit`; their capacities are kept beside them and every write is checked against them. The
/// writer holds this object's address unretained; it exists only while `ModelInstance.predict` or
/// `init` keeps the object alive.
@safe
package final class CallFrame {
    /// What the model has written so far.
    enum Written { case nothing, number, json, tooOften }

    private(set) var values: UnsafeMutablePointer<model_value>
    private var valueCapacity = 64
    private var scratch: UnsafeMutablePointer<UInt8>
    private var scratchCapacity = 4096
    private var result: UnsafeMutablePointer<UInt8>
    private var resultCapacity = 4096
    private var resultCount = 0
    private var reserved = 0
    private(set) var written = Written.nothing
    /// The sentence that came with a failure.
    private(set) var message = ""

    /// Bytes of one result.
    package static let resultBytesMaximum = 64 << 20
    static let messageBytesMaximum = 2048

    package init() {
        unsafe values = .allocate(capacity: valueCapacity)
        unsafe scratch = .allocate(capacity: scratchCapacity)
        unsafe result = .allocate(capacity: resultCapacity)
    }

    deinit {
        unsafe values.deallocate()
        unsafe scratch.deallocate()
        unsafe result.deallocate()
    }

    /// Lends the text of the result: JSON.
    package func withResult<R>(_ body: (Span<UInt8>) -> R) -> R {
        unsafe body(Span(_unsafeStart: result, count: resultCount))
    }

    /// Gives back the memory of a large result or text.
    package func shrink(to bytes: Int) {
        if resultCapacity > bytes {
            unsafe result.deallocate()
            resultCapacity = 4096
            resultCount = 0
            unsafe result = .allocate(capacity: resultCapacity)
        }
        if scratchCapacity > bytes {
            unsafe scratch.deallocate()
            scratchCapacity = 4096
            unsafe scratch = .allocate(capacity: scratchCapacity)
        }
    }

    /// Whether the result is a number that the host itself has written, so that it needs no check.
    package var isNumber: Bool { written == .number }

    // MARK: Values

    /// Turns references into the values of the contract. `text` stays in place during the call.
    ///
    /// Returns the place of a number that is beyond what a double holds, or nil when all is well.
    func fill(_ references: Span<JSONReference>, _ text: UnsafeRawBufferPointer) -> Int? {
        if references.count > valueCapacity {
            unsafe values.deallocate()
            valueCapacity = references.count * 2
            unsafe values = .allocate(capacity: valueCapacity)
        }
        makeScratch(for: references)
        var used = 0
        for index in references.indices {
            let reference = references[index]
            let part = unsafe UnsafeRawBufferPointer(
                rebasing: text[reference.start..<reference.end]
            )
            var value = unsafe model_value(
                kind: reference.kind.rawValue,
                reserved: 0,
                number: 0,
                text: part.baseAddress?.assumingMemoryBound(to: CChar.self),
                length: part.count
            )
            switch reference.kind {
            case .boolean: unsafe value.number = reference.flag ? 1 : 0
            case .number:
                guard let number = unsafe Self.number(part), number.isFinite else { return index }
                unsafe value.number = number
            case .string where reference.flag:
                let start = used
                unsafe JSONText.unescape(Span(_unsafeBytes: part)) { byte in
                    unsafe scratch[used] = byte
                    used += 1
                }
                unsafe value.text = UnsafeRawPointer(scratch + start).assumingMemoryBound(
                    to: CChar.self
                )
                unsafe value.length = used - start
            default: break
            }
            unsafe (values + index).initialize(to: value)
        }
        return nil
    }

    /// Makes room for the strings that have to be unescaped: never longer than their text.
    private func makeScratch(for references: Span<JSONReference>) {
        var needed = 0
        for index in references.indices
        where references[index].kind == .string && references[index].flag {
            needed += references[index].end - references[index].start
        }
        guard needed > scratchCapacity else { return }
        unsafe scratch.deallocate()
        scratchCapacity = needed * 2
        unsafe scratch = .allocate(capacity: scratchCapacity)
    }

    /// The double of a checked number: short ones exactly here, the rest by the C library.
    private static func number(_ text: UnsafeRawBufferPointer) -> Double? {
        if let short = unsafe JSONNumber.short(Span(_unsafeBytes: text)) { return short }
        guard let start = text.baseAddress else { return 0 }
        return unsafe NumberText.parse(start, count: text.count) ?? 0
    }

    // MARK: The writer

    /// The writer of the contract for this frame, with nothing written yet.
    func makeWriter() -> model_writer {
        written = .nothing
        resultCount = 0
        reserved = 0
        if !message.isEmpty { message = "" }
        return unsafe model_writer(
            size: UInt32(MemoryLayout<model_writer>.size),
            reserved: 0,
            host: Unmanaged.passUnretained(self).toOpaque(),
            number: { writer, number in unsafe CallFrame.of(writer)?.write(number) ?? false },
            json: { writer, text, length in
                unsafe CallFrame.of(writer)?.write(text, length) ?? false
            },
            reserve: { writer, capacity in unsafe CallFrame.of(writer)?.reserve(capacity) },
            commit: { writer, length in unsafe CallFrame.of(writer)?.commit(length) ?? false },
            message: { writer, text, length in
                unsafe CallFrame.of(writer)?.take(message: text, length)
            }
        )
    }

    private static func of(_ writer: UnsafeMutablePointer<model_writer>?) -> CallFrame? {
        guard let host = unsafe writer?.pointee.host else { return nil }
        return unsafe Unmanaged<CallFrame>.fromOpaque(host).takeUnretainedValue()
    }

    /// Notes that a result is about to be written; false when there is one already.
    private func begin(_ kind: Written) -> Bool {
        guard written == .nothing else {
            written = .tooOften
            return false
        }
        written = kind
        return true
    }

    private func write(_ number: Double) -> Bool {
        guard number.isFinite else {
            setMessage("the model wrote the number \(number), which JSON cannot express")
            return false
        }
        guard begin(.number) else { return false }
        resultCount = unsafe JSONNumber.write(number, to: result)
        return true
    }

    private func write(_ text: UnsafePointer<CChar>?, _ length: Int) -> Bool {
        guard let text = unsafe text, let target = unsafe reserve(length) else { return false }
        unsafe UnsafeMutableRawPointer(target).copyMemory(from: text, byteCount: length)
        return commit(length)
    }

    private func reserve(_ capacity: Int) -> UnsafeMutablePointer<CChar>? {
        guard capacity >= 0, capacity <= Self.resultBytesMaximum else {
            setMessage(
                "the model wrote \(capacity) bytes; at most \(Self.resultBytesMaximum) count"
            )
            return nil
        }
        if written != .nothing {
            written = .tooOften
            return nil
        }
        if capacity > resultCapacity {
            unsafe result.deallocate()
            resultCapacity = max(capacity, resultCapacity * 2)
            unsafe result = .allocate(capacity: resultCapacity)
        }
        reserved = capacity
        return unsafe UnsafeMutableRawPointer(result).assumingMemoryBound(to: CChar.self)
    }

    private func commit(_ length: Int) -> Bool {
        guard length >= 0, length <= reserved, begin(.json) else { return false }
        resultCount = length
        reserved = 0
        return true
    }

    private func take(message text: UnsafePointer<CChar>?, _ length: Int) {
        guard let text = unsafe Self.text(ofMessage: text, length) else { return }
        message = text
    }

    /// A model's sentence, as far as it is kept; nil: there is none.
    static func text(ofMessage text: UnsafePointer<CChar>?, _ length: Int) -> String? {
        guard let text = unsafe text, length > 0 else { return nil }
        let bytes = unsafe UnsafeRawBufferPointer(
            start: text,
            count: min(length, messageBytesMaximum)
        )
        return unsafe String(decoding: bytes, as: UTF8.self)
    }

    private func setMessage(_ text: String) {
        message = text
    }
}
