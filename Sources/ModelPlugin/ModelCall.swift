// One row, as the model sees it: its inputs, and the place for its result. Neither can be kept:
// they are lent for the duration of one call, and the types cannot be copied.

import Bytes
import CModelABI
import JSON

/// The inputs of one row. Reading a number, a boolean or the bytes of a text allocates nothing.
///
/// SAFETY: the pointer is the host's `model_call`, valid until `predict` returns. A `ModelCall`
/// exists only as a borrowed argument of `predict`, cannot be copied, and so cannot outlive the
/// call. The host passes as many values as the description declares; every access is checked
/// against that.
@safe
public struct ModelCall: ~Copyable {
    private let call: UnsafePointer<model_call>

    init(_ call: UnsafePointer<model_call>) {
        unsafe self.call = unsafe call
    }

    /// How many inputs or arguments there are.
    public var count: Int { unsafe Int(call.pointee.value_count) }

    private func value(_ position: Int) -> model_value {
        precondition(position >= 0 && position < count, "there is no input \(position)")
        return unsafe call.pointee.values[position]
    }

    private func bytes(_ value: model_value) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: value.text, count: value.length)
    }

    /// The number of an input.
    public subscript(_ input: Input<Double>) -> Double {
        unsafe value(input.position).number
    }

    /// The number of an input, or nil when the request left it out.
    public subscript(_ input: Input<Double?>) -> Double? {
        let value = unsafe value(input.position)
        return unsafe value.kind == MODEL_NUMBER.rawValue ? value.number : nil
    }

    /// The boolean of an input.
    public subscript(_ input: Input<Bool>) -> Bool {
        unsafe value(input.position).number != 0
    }

    /// The text of an input, as a String of its own; more than 15 bytes cost an allocation.
    public subscript(_ input: Input<String>) -> String {
        unsafe String(decoding: bytes(value(input.position)), as: UTF8.self)
    }

    /// The text of an input, or nil when the request left it out.
    public subscript(_ input: Input<String?>) -> String? {
        let value = unsafe value(input.position)
        guard unsafe value.kind == MODEL_STRING.rawValue else { return nil }
        return unsafe String(decoding: bytes(value), as: UTF8.self)
    }

    /// The JSON text of an input, as a String of its own.
    public subscript(_ input: Input<JSONPart>) -> JSONPart {
        JSONPart(text: unsafe String(decoding: bytes(value(input.position)), as: UTF8.self))
    }

    /// Whether the text of an input is this word.
    public func text(_ input: Input<String>, equals word: StaticString) -> Bool {
        withText(at: input.position) { text in
            unsafe Bytes.equal(text, Span(_unsafeElements: word.bytes))
        }
    }

    /// Lends the UTF-8 of the input or argument at a position.
    public func withText<R>(at position: Int, _ body: (Span<UInt8>) -> R) -> R {
        unsafe body(Span(_unsafeBytes: bytes(value(position))))
    }

    /// Lends the request's id.
    public func withRequestID<R>(_ body: (Span<UInt8>) -> R) -> R {
        let id = unsafe UnsafeRawBufferPointer(
            start: call.pointee.request_id,
            count: call.pointee.request_id_length
        )
        return unsafe body(Span(_unsafeBytes: id))
    }

    /// When an answer is of no use any more, in nanoseconds of the monotonic clock; nil: never.
    public var deadlineNanoseconds: UInt64? {
        let deadline = unsafe call.pointee.deadline_ns
        return deadline == 0 ? nil : deadline
    }
}

/// The place for one row's result. Exactly one of its methods is called, once.
///
/// SAFETY: the pointer is the host's `model_writer`, valid until `predict` returns; see
/// `ModelCall`.
@safe
public struct ModelResult: ~Copyable {
    private let writer: UnsafeMutablePointer<model_writer>

    init(_ writer: UnsafeMutablePointer<model_writer>) {
        unsafe self.writer = unsafe writer
    }

    /// Answers with a number, which must be finite. Allocates nothing.
    public mutating func write(_ number: Double) {
        _ = unsafe writer.pointee.number(writer, number)
    }

    /// Answers with a JSON value, given as its text.
    public mutating func write(json text: String) {
        var text = text
        text.withUTF8 { bytes in
            _ = unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                unsafe writer.pointee.json(writer, characters.baseAddress, characters.count)
            }
        }
    }

    /// Answers with a JSON value written in place, at most `capacity` bytes. Allocates nothing.
    public mutating func write(
        jsonBytes capacity: Int,
        _ body: (inout JSONOutput) -> Void
    ) {
        guard let space = unsafe writer.pointee.reserve(writer, capacity) else { return }
        let bytes = unsafe UnsafeMutableRawPointer(space).assumingMemoryBound(to: UInt8.self)
        var output = unsafe JSONOutput(bytes, capacity)
        body(&output)
        if let fault = output.fault { return fail(fault) }
        _ = unsafe writer.pointee.commit(writer, output.count)
    }

    mutating func fail(_ sentence: String) {
        var text = sentence
        text.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                unsafe writer.pointee.message(writer, characters.baseAddress, characters.count)
            }
        }
    }
}

/// Writes JSON text into the host's memory, commas included.
///
/// SAFETY: `start` points to `capacity` bytes that the host has reserved until the next call on the
/// writer; the value lives inside `ModelResult.write` only, cannot be copied, and each append is
/// checked against the capacity first.
@safe
public struct JSONOutput: ~Copyable {
    private let start: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private(set) var count = 0
    private var needsComma = false
    /// Why this cannot become a result; the row fails with it instead of ending the process.
    private(set) var fault: String?

    init(_ start: UnsafeMutablePointer<UInt8>, _ capacity: Int) {
        unsafe self.start = unsafe start
        self.capacity = capacity
    }

    private mutating func append(_ byte: UInt8) {
        guard count < capacity else {
            fault = "the model wrote more than the \(capacity) bytes that it had asked for"
            return
        }
        unsafe start[count] = byte
        count += 1
    }

    private mutating func separate() {
        if needsComma { append(UInt8(ascii: ",")) }
        needsComma = true
    }

    /// Writes `{`, what `body` writes, and `}`.
    public mutating func object(_ body: (inout JSONOutput) -> Void) {
        enclose(UInt8(ascii: "{"), UInt8(ascii: "}"), body)
    }

    /// Writes `[`, what `body` writes, and `]`.
    public mutating func array(_ body: (inout JSONOutput) -> Void) {
        enclose(UInt8(ascii: "["), UInt8(ascii: "]"), body)
    }

    private mutating func enclose(
        _ first: UInt8,
        _ last: UInt8,
        _ body: (inout JSONOutput) -> Void
    ) {
        separate()
        append(first)
        needsComma = false
        body(&self)
        append(last)
        needsComma = true
    }

    /// Writes the name of a member; its value follows.
    public mutating func name(_ name: StaticString) {
        string(name)
        append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Writes a number; one that is not finite makes the row fail.
    public mutating func number(_ number: Double) {
        guard number.isFinite else {
            fault = "the model wrote the number \(number), which JSON cannot express"
            return
        }
        separate()
        guard count + JSONNumber.bytesMaximum <= capacity else {
            fault = "the model asked for \(capacity) bytes; a number needs up to 32"
            return
        }
        count += unsafe JSONNumber.write(number, to: start + count)
    }

    /// Writes `true` or `false`.
    public mutating func boolean(_ value: Bool) {
        separate()
        append(value ? "true" : "false" as StaticString)
    }

    private mutating func append(_ text: StaticString) {
        let bytes = unsafe text.bytes
        guard bytes.count <= capacity - count, let source = bytes.baseAddress else {
            fault = "the model wrote more than the \(capacity) bytes that it had asked for"
            return
        }
        unsafe (start + count).update(from: source, count: bytes.count)
        count += bytes.count
    }

    /// Writes a text that needs no escapes.
    public mutating func string(_ text: StaticString) {
        separate()
        append(UInt8(ascii: "\""))
        let isPlain = unsafe Bytes.arePlain(Span(_unsafeElements: text.bytes))
        let needsEscape = { (byte: UInt8) in byte < 0x20 || byte == 0x22 || byte == 0x5c }
        if !isPlain, unsafe text.bytes.contains(where: needsEscape) {
            fault = "the model wrote a text that needs escapes"
        }
        append(text)
        append(UInt8(ascii: "\""))
    }
}

extension StaticString {
    /// Its UTF-8, which stands in the program. Text of one character has it too: only a literal of
    /// a Unicode scalar has none.
    fileprivate var bytes: UnsafeBufferPointer<UInt8> {
        precondition(hasPointerRepresentation, "the text is a string's literal")
        return unsafe UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}
