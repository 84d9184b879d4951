// What a call with tensors needs from the host: the tensors that go in, the writer that takes those
// that come out. A thread keeps its frame and uses it again.

import CModelABI
import Platform

/// The tensors of a call, as places in the request's body or among what was made from it.
package struct TensorInputs: Sendable {
    /// One tensor.
    package struct Place: Sendable {
        package let name: Range<Int>
        /// A `model_datatype`.
        package let datatype: UInt32
        package let shape: Range<Int>
        package let data: Range<Int>
        /// Whether `data` is a place in `packed`, and not in the body.
        package let isPacked: Bool
    }

    package private(set) var names: [UInt8] = []
    package private(set) var shapes: [Int64] = []
    package private(set) var places: [Place] = []
    /// Bytes of tensors that were not in the body as such.
    package var packed: [UInt8] = []

    package init() {}

    /// Forgets the tensors and keeps the memory.
    package mutating func clear() {
        names.removeAll(keepingCapacity: true)
        shapes.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        packed.removeAll(keepingCapacity: true)
    }

    /// Adds a tensor.
    package mutating func add(
        _ name: String,
        datatype: UInt32,
        shape: [Int],
        data: Range<Int>,
        isPacked: Bool
    ) {
        let (nameStart, shapeStart) = (names.count, shapes.count)
        names += name.utf8
        shapes += shape.map { Int64($0) }
        places.append(
            Place(
                name: nameStart..<names.count,
                datatype: datatype,
                shape: shapeStart..<shapes.count,
                data: data,
                isPacked: isPacked
            )
        )
    }
}

/// A tensor that a model has written.
package struct TensorOutput: Sendable, Equatable {
    package let name: String
    /// A `model_datatype`, if the model did as it should.
    package let datatype: UInt32
    package let shape: [Int]
    /// Where its bytes stand among those of all outputs.
    package let bytes: Range<Int>
}

/// The reusable memory of calls with tensors, one at a time.
///
/// SAFETY: a frame belongs to one thread. `scratch` and each of `blocks` are allocated by it with
/// the alignment of the contract, grown between calls (the first) or added by the writer's function
/// (the others), and freed in `deinit`; every range that is lent lies inside their capacities. The
/// writer holds this object's address unretained; it exists only while `ModelInstance.predict`
/// keeps the object alive.
@safe
package final class TensorFrame {
    /// Bytes that data and outputs are aligned to.
    private static let alignment = 16
    package static let outputBytesMaximum = CallFrame.resultBytesMaximum
    private static let outputsMaximum = 64
    private static let rankMaximum = 16

    @unsafe
    private struct Block {
        let start: UnsafeMutableRawPointer
        let capacity: Int
    }

    private var tensors: [model_tensor] = unsafe []
    private var scratch: UnsafeMutableRawPointer?
    private var scratchCapacity = 0
    /// The memory of outputs, by their number; kept from call to call.
    private var blocks: [Block] = unsafe []
    /// What the model has written.
    package private(set) var outputs: [TensorOutput] = []
    private var bytesUsed = 0
    /// The sentence that came with a failure.
    package private(set) var message = ""

    package init() {}

    deinit {
        unsafe scratch?.deallocate()
        for index in 0..<blockCount { unsafe blocks[index].start.deallocate() }
    }

    private var blockCount: Int { unsafe blocks.count }
    /// Bytes of all blocks.
    private var capacity = 0

    /// Gives back the memory of large tensors.
    package func shrink(to bytes: Int) {
        if scratchCapacity > bytes {
            unsafe scratch?.deallocate()
            unsafe scratch = nil
            scratchCapacity = 0
        }
        guard capacity > bytes else { return }
        for index in 0..<blockCount { unsafe blocks[index].start.deallocate() }
        unsafe blocks = []
        capacity = 0
        outputs = []
    }

    /// Appends the bytes of all outputs, one behind the other.
    package func appendOutputs(to bytes: inout [UInt8]) {
        for (index, output) in outputs.enumerated() {
            let block = unsafe blocks[index]
            bytes.append(addingCapacity: output.bytes.count) { span in
                for offset in 0..<output.bytes.count {
                    span.append(unsafe block.start.load(fromByteOffset: offset, as: UInt8.self))
                }
            }
        }
    }

    /// Lends the tensors as the contract has them. What is not aligned is copied.
    func withTensors<R>(
        _ inputs: TensorInputs,
        in body: UnsafeRawBufferPointer,
        _ call: (UnsafePointer<model_tensor>?, Int) -> R
    ) -> R {
        message = ""
        outputs.removeAll(keepingCapacity: true)
        bytesUsed = 0
        return unsafe inputs.packed.withUnsafeBytes { packed in
            unsafe makeScratch(inputs, body, packed)
            return unsafe inputs.names.withUnsafeBytes { names in
                unsafe inputs.shapes.withUnsafeBufferPointer { shapes in
                    var used = 0
                    unsafe tensors.removeAll(keepingCapacity: true)
                    for place in inputs.places {
                        let data = unsafe data(of: place, body, packed, &used)
                        unsafe tensors.append(
                            model_tensor(
                                name: names.baseAddress.map {
                                    unsafe ($0 + place.name.lowerBound)
                                        .assumingMemoryBound(to: CChar.self)
                                },
                                name_length: place.name.count,
                                datatype: place.datatype,
                                rank: UInt32(place.shape.count),
                                shape: shapes.baseAddress.map {
                                    unsafe $0 + place.shape.lowerBound
                                },
                                data: data,
                                bytes: place.data.count
                            )
                        )
                    }
                    let tensors = unsafe tensors
                    return unsafe tensors.withUnsafeBufferPointer { tensors in
                        unsafe call(tensors.baseAddress, tensors.count)
                    }
                }
            }
        }
    }

    private static func source(
        _ place: TensorInputs.Place,
        _ body: UnsafeRawBufferPointer,
        _ packed: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: (place.isPacked ? packed : body)[place.data])
    }

    private static func isAligned(_ bytes: UnsafeRawBufferPointer) -> Bool {
        UInt(bitPattern: bytes.baseAddress) % UInt(alignment) == 0
    }

    private static func rounded(_ bytes: Int) -> Int { (bytes + alignment - 1) & -alignment }

    /// Makes room for the tensors that have to be copied.
    private func makeScratch(
        _ inputs: TensorInputs,
        _ body: UnsafeRawBufferPointer,
        _ packed: UnsafeRawBufferPointer
    ) {
        var needed = 0
        for place in inputs.places where !(unsafe Self.isAligned(Self.source(place, body, packed)))
        {
            needed += Self.rounded(place.data.count)
        }
        guard needed > scratchCapacity else { return }
        unsafe scratch?.deallocate()
        scratchCapacity = max(needed, 4096)
        unsafe scratch = .allocate(byteCount: scratchCapacity, alignment: Self.alignment)
    }

    private func data(
        of place: TensorInputs.Place,
        _ body: UnsafeRawBufferPointer,
        _ packed: UnsafeRawBufferPointer,
        _ used: inout Int
    ) -> UnsafeRawPointer? {
        let source = unsafe Self.source(place, body, packed)
        if unsafe Self.isAligned(source) { return source.baseAddress }
        guard let start = source.baseAddress, let scratch = unsafe scratch else { return nil }
        let target = unsafe scratch + used
        unsafe target.copyMemory(from: start, byteCount: source.count)
        used += Self.rounded(source.count)
        return UnsafeRawPointer(target)
    }

    // MARK: The writer

    /// The writer of the contract for this frame.
    func makeWriter() -> model_tensor_writer {
        unsafe model_tensor_writer(
            size: UInt32(MemoryLayout<model_tensor_writer>.size),
            reserved: 0,
            host: Unmanaged.passUnretained(self).toOpaque(),
            output: { writer, name, length, datatype, shape, rank, bytes in
                unsafe TensorFrame.of(writer)?
                    .addOutput(name, length, datatype, shape, Int(rank), bytes)
            },
            message: { writer, text, length in
                unsafe TensorFrame.of(writer)?.take(message: text, length)
            }
        )
    }

    private static func of(
        _ writer: UnsafeMutablePointer<model_tensor_writer>?
    ) -> TensorFrame? {
        guard let host = unsafe writer?.pointee.host else { return nil }
        return unsafe Unmanaged<TensorFrame>.fromOpaque(host).takeUnretainedValue()
    }

    private func addOutput(
        _ name: UnsafePointer<CChar>?,
        _ length: Int,
        _ datatype: UInt32,
        _ shape: UnsafePointer<Int64>?,
        _ rank: Int,
        _ bytes: Int
    ) -> UnsafeMutableRawPointer? {
        guard outputs.count < Self.outputsMaximum, rank <= Self.rankMaximum, bytes >= 0,
            bytes <= Self.outputBytesMaximum - bytesUsed, length >= 0,
            length <= CallFrame.messageBytesMaximum
        else {
            message = "the model wrote an output that is beyond the contract's bounds"
            return nil
        }
        let nameBytes = unsafe UnsafeRawBufferPointer(start: name, count: name == nil ? 0 : length)
        var sizes: [Int] = []
        for index in 0..<rank { sizes.append(Int(unsafe shape?[index] ?? 0)) }
        let index = outputs.count
        let room = index < blockCount ? unsafe blocks[index].capacity : -1
        if room < bytes {
            let size = max(bytes, 256)
            let block = unsafe Block(
                start: .allocate(byteCount: size, alignment: Self.alignment),
                capacity: size
            )
            capacity += size
            if index == blockCount {
                unsafe blocks.append(block)
            } else {
                capacity -= room
                unsafe blocks[index].start.deallocate()
                unsafe blocks[index] = unsafe block
            }
        }
        outputs.append(
            TensorOutput(
                name: unsafe String(decoding: nameBytes, as: UTF8.self),
                datatype: datatype,
                shape: sizes,
                bytes: bytesUsed..<bytesUsed + bytes
            )
        )
        bytesUsed += bytes
        // A model that fills less than it asked for must not show what was there before.
        unsafe blocks[index].start.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        return unsafe blocks[index].start
    }

    private func take(message text: UnsafePointer<CChar>?, _ length: Int) {
        guard let text = unsafe CallFrame.text(ofMessage: text, length) else { return }
        message = text
    }
}
