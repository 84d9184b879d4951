// A request for an inference: its tensors, and how they are to be answered, as places in the body.

import Bytes
package import Endpoints
package import JSON

/// The tensors of one request. It keeps its memory from one request to the next. A class: a value
/// of so many arrays would be retained array by array for every call of its functions.
package final class TensorRequest {
    /// One tensor.
    package struct Tensor: Sendable {
        /// Where its name stands in `names`.
        package let name: Range<Int>
        package let datatype: Datatype
        /// Where the sizes of its shape stand in `sizes`.
        package let shape: Range<Int>
        /// How many elements it has.
        package let count: Int
        /// Where its bytes stand in the body; nil: its elements are values of the document.
        package internal(set) var bytes: Range<Int>?
        /// Where its elements stand in `elements`: indices of the document's values, or, of BYTES,
        /// places in the body.
        package internal(set) var elements: Range<Int>
    }

    /// One output that is asked for.
    package struct Output: Sendable {
        /// Where its name stands in `names`.
        package let name: Range<Int>
        package let isBinary: Bool
    }

    /// Tensors, and outputs, of one request.
    package static let tensorsMaximum = 64
    private static let rankMaximum = 16

    package private(set) var tensors: [Tensor] = []
    /// What is asked for; empty: everything.
    package private(set) var outputs: [Output] = []
    /// Whether outputs that are not named are answered in binary.
    package private(set) var answersBinary = false
    /// The JSON text of the request's id; empty: it has none.
    package private(set) var id: [UInt8] = []
    /// The names of tensors and outputs, without escapes.
    package private(set) var names: [UInt8] = []
    /// What the elements are of tensors that have no bytes, or no elements of one size.
    package internal(set) var elements: [Int] = []
    /// The shapes of all tensors, one behind the other.
    package private(set) var sizes: [Int] = []
    /// The index of the value that says whose request it is.
    package private(set) var subject: Int?
    /// How long the caller waits, in nanoseconds.
    package private(set) var timeoutNanoseconds: UInt64?

    package init() {}

    /// For texts that may be JSON.
    var check = JSONDocument()
    /// Bytes of the name of a tensor or an output.
    private static let nameBytesMaximum = 1024

    /// Whether the body begins with a header.
    package private(set) var hasHeader = true

    /// The name of a tensor or an output, for sentences.
    package func shown(_ name: Range<Int>) -> String {
        String(decoding: names[name].prefix(64), as: UTF8.self)
    }

    /// The sizes of a tensor.
    package func shape(of tensor: Tensor) -> [Int] { Array(sizes[tensor.shape]) }

    /// The first size of a tensor, which counts the rows.
    func rows(of tensor: Tensor) -> Int {
        tensor.shape.isEmpty ? 1 : sizes[tensor.shape.lowerBound]
    }

    /// The tensor with a name.
    package func tensor(named name: Span<UInt8>) -> Tensor? {
        let names = names
        return tensors.first { Bytes.equal(names.span.extracting($0.name), name) }
    }

    /// Parameters that mean nothing here, and the first that asks for what is not there.
    package internal(set) var ignored: [String] = []
    var missing: String?

    func clear() {
        tensors.removeAll(keepingCapacity: true)
        outputs.removeAll(keepingCapacity: true)
        names.removeAll(keepingCapacity: true)
        elements.removeAll(keepingCapacity: true)
        sizes.removeAll(keepingCapacity: true)
        id.removeAll(keepingCapacity: true)
        (answersBinary, subject, timeoutNanoseconds) = (false, nil, nil)
        if !ignored.isEmpty || missing != nil { (ignored, missing) = ([], nil) }
        hasHeader = true
    }

    /// Gives back what one large request has made grow.
    package func shrink(to bytes: Int) {
        if elements.capacity > bytes / 8 { elements = [] }
        if sizes.capacity > bytes / 8 { sizes = [] }
        if names.capacity > bytes { names = [] }
        if id.capacity > bytes { id = [] }
    }

    // MARK: Reading

    /// Reads a checked header.
    ///
    /// - Parameters:
    ///   - document: the header's values.
    ///   - body: the whole body, which begins with the header.
    ///   - header: bytes of the header.
    package func decode(
        _ document: borrowing JSONDocument,
        in body: Span<UInt8>,
        header: Int
    ) throws(Failure) {
        clear()
        guard document.entries[0].kind == .object else {
            throw Failure(.badRequest, "the request is no JSON object")
        }
        var (inputs, outputs, id, parameters) = (-1, -1, -1, -1)
        Self.forEachMember(of: 0, document, body) { name, value in
            if Bytes.equal(name, 0..<name.count, "inputs") {
                inputs = value
            } else if Bytes.equal(name, 0..<name.count, "outputs") {
                outputs = value
            } else if Bytes.equal(name, 0..<name.count, "id") {
                id = value
            } else if Bytes.equal(name, 0..<name.count, "parameters") {
                parameters = value
            }
        }
        guard inputs >= 0, document.entries[inputs].kind == .array else {
            throw Failure(.badRequest, "the request has no list \"inputs\"")
        }
        if id >= 0, document.entries[id].kind != .null {
            guard document.entries[id].kind == .string, document.entries[id].range.count < 1024
            else { throw Failure(.badRequest, "\"id\" is no string of at most 1,000 bytes") }
            self.id.append(body.extracting(document.entries[id].range))
        }
        if parameters >= 0 { try decodeParameters(parameters, document, body) }
        var position = header
        var index = inputs + 1
        while index < Int(document.entries[inputs].next) {
            try decodeTensor(index, document, body, &position)
            index = Int(document.entries[index].next)
        }
        guard !tensors.isEmpty else {
            throw Failure(.badInput, "\"inputs\" is empty; wanted at least one tensor")
        }
        guard position == body.count else {
            throw Failure(
                .badRequest,
                "the body has \(body.count - header) bytes behind its header of \(header), and the "
                    + "\"binary_data_size\" of all inputs together are \(position - header)"
            )
        }
        if outputs >= 0, document.entries[outputs].kind != .null {
            try decodeOutputs(outputs, document, body)
        }
    }

    private func decodeParameters(
        _ parameters: Int,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) {
        guard try Self.isObject(parameters, "parameters", document) else { return }
        var (binary, time) = (-1, -1)
        Self.forEachMember(of: parameters, document, text) { name, value in
            if Bytes.equal(name, 0..<name.count, "subject_id") {
                subject = value
            } else if Bytes.equal(name, 0..<name.count, "binary_data_output") {
                binary = value
            } else if Bytes.equal(name, 0..<name.count, "timeout") {
                time = value
            } else {
                note(name)
            }
        }
        try requireKnown()
        if binary >= 0 { answersBinary = try Self.boolean(binary, "binary_data_output", document) }
        guard time >= 0 else { return }
        let entry = document.entries[time]
        let microseconds = Bytes.decimal(text.extracting(entry.range))
        guard entry.kind == .number, let microseconds else {
            throw Failure(
                .badInput,
                "\"timeout\" is \(Self.text(entry, text)); wanted a whole number of microseconds"
            )
        }
        // Zero stands for the default of the server.
        if microseconds > 0 { timeoutNanoseconds = min(microseconds, 1 << 50) * 1000 }
    }

    private func decodeTensor(
        _ index: Int,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        _ position: inout Int
    ) throws(Failure) {
        let number = tensors.count
        guard number < Self.tensorsMaximum else {
            throw Failure(.badInput, "there are more than \(Self.tensorsMaximum) inputs")
        }
        var (nameIndex, shapeIndex, typeIndex, data, parameters) = (-1, -1, -1, -1, -1)
        Self.forEachMember(of: index, document, body) { name, value in
            if Bytes.equal(name, 0..<name.count, "name") {
                nameIndex = value
            } else if Bytes.equal(name, 0..<name.count, "shape") {
                shapeIndex = value
            } else if Bytes.equal(name, 0..<name.count, "datatype") {
                typeIndex = value
            } else if Bytes.equal(name, 0..<name.count, "data") {
                data = value
            } else if Bytes.equal(name, 0..<name.count, "parameters") {
                parameters = value
            }
        }
        let name = try take(name: nameIndex, "input", number, document, body)
        for tensor in tensors where isSame(tensor.name, name) {
            throw Failure(.badInput, "the input \"\(shown(name))\" is there twice")
        }
        let datatype = try datatype(typeIndex, of: name, document, body)
        let (shape, count) = try take(shape: shapeIndex, of: name, document, body)
        var tensor = Tensor(
            name: name,
            datatype: datatype,
            shape: shape,
            count: count,
            bytes: nil,
            elements: 0..<0
        )
        let size = try binarySize(parameters, document, body)
        switch (data >= 0, size >= 0) {
        case (true, false):
            tensor.elements = try take(data, of: tensor, document, body)
        case (false, true):
            let range = try binaryRange(size, of: name, document, body, from: position)
            try take(range, of: &tensor, body)
            position = range.upperBound
        default:
            throw Failure(
                .badInput,
                "the input \"\(shown(name))\" has \(data < 0 ? "neither" : "both") \"data\" "
                    + "\(data < 0 ? "nor" : "and") \"binary_data_size\"; wanted one of them"
            )
        }
        tensors.append(tensor)
    }

    /// The bytes after the JSON that an input's "binary_data_size" claims.
    private func binaryRange(
        _ size: Int,
        of name: Range<Int>,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        from position: Int
    ) throws(Failure) -> Range<Int> {
        let entry = document.entries[size]
        guard let bytes = Bytes.decimal(body.extracting(entry.range)),
            bytes <= UInt64(body.count - position)
        else {
            throw Failure(
                .badRequest,
                "the input \"\(shown(name))\" has the \"binary_data_size\" "
                    + "\(Self.text(entry, body)), "
                    + "and \(body.count - position) bytes are left of the body"
            )
        }
        return position..<position + Int(bytes)
    }

    private func decodeOutputs(
        _ list: Int,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) {
        guard document.entries[list].kind == .array else {
            throw Failure(.badRequest, "\"outputs\" is no list")
        }
        var index = list + 1
        while index < Int(document.entries[list].next) {
            guard outputs.count < Self.tensorsMaximum else {
                throw Failure(.badInput, "there are more than \(Self.tensorsMaximum) outputs")
            }
            var (nameIndex, parameters, binary) = (-1, -1, -1)
            Self.forEachMember(of: index, document, text) { name, value in
                if Bytes.equal(name, 0..<name.count, "name") {
                    nameIndex = value
                } else if Bytes.equal(name, 0..<name.count, "parameters") {
                    parameters = value
                }
            }
            let name = try take(name: nameIndex, "output", outputs.count, document, text)
            if parameters >= 0, try Self.isObject(parameters, "parameters", document) {
                Self.forEachMember(of: parameters, document, text) { name, value in
                    guard Bytes.equal(name, 0..<name.count, "binary_data") else {
                        return note(name)
                    }
                    binary = value
                }
                try requireKnown()
            }
            let isBinary =
                try binary < 0 ? answersBinary : Self.boolean(binary, "binary_data", document)
            outputs.append(Output(name: name, isBinary: isBinary))
            index = Int(document.entries[index].next)
        }
    }

    // MARK: One body, one tensor

    /// Makes the whole body one tensor, whose answer is binary.
    package func decode(raw body: Span<UInt8>, as input: TensorDescription) throws(Failure) {
        clear()
        (answersBinary, hasHeader) = (true, false)
        names = Array(input.name.utf8)
        var shape = input.shape
        let known = Datatype.elements(of: shape.filter { $0 >= 0 }) ?? 0
        let size = input.datatype.size ?? max(body.count, 1)
        guard shape.count(where: { $0 < 0 }) <= 1, known > 0, known < Datatype.elementsLimit,
            body.count % (size * known) == 0
        else {
            throw Failure(
                .badInput,
                "a body of \(body.count) bytes is not the tensor \"\(input.name)\" of "
                    + "\(input.datatype.name), shape \(input.shape)"
            )
        }
        if let place = shape.firstIndex(where: { $0 < 0 }) {
            shape[place] = body.count / size / known
        }
        sizes = shape
        var tensor = Tensor(
            name: 0..<names.count,
            datatype: input.datatype,
            shape: 0..<shape.count,
            count: Datatype.elements(of: shape) ?? 0,
            bytes: 0..<body.count,
            elements: 0..<0
        )
        if input.datatype == .bytes {
            elements = [0, body.count]
            tensor.elements = 0..<2
            guard tensor.count == 1 else { throw Failure(.badInput, "the body is empty") }
        } else if tensor.count * size != body.count {
            throw Failure(
                .badInput,
                "a body of \(body.count) bytes is not a tensor of shape \(input.shape)"
            )
        }
        tensors = [tensor]
    }

    // MARK: Parts

    private func isSame(_ one: Range<Int>, _ two: Range<Int>) -> Bool {
        let names = names
        return Bytes.equal(names.span, one, two)
    }

    private func take(
        name place: Int,
        _ what: StaticString,
        _ number: Int,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) -> Range<Int> {
        guard place >= 0, document.entries[place].kind == .string,
            !document.entries[place].contents.isEmpty,
            document.entries[place].contents.count <= Self.nameBytesMaximum
        else {
            throw Failure(
                .badRequest,
                "\(what) \(number) is no object with a \"name\" of 1 to "
                    + "\(Self.nameBytesMaximum) bytes"
            )
        }
        let start = names.count
        let entry = document.entries[place]
        if entry.flag {
            names += JSONText.unescaped(text.extracting(entry.contents))
        } else {
            names.append(text.extracting(entry.contents))
        }
        return start..<names.count
    }

    private func datatype(
        _ place: Int,
        of name: Range<Int>,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) -> Datatype {
        guard place >= 0, document.entries[place].kind == .string else {
            throw Failure(.badRequest, "the input \"\(shown(name))\" has no \"datatype\"")
        }
        let contents = document.entries[place].contents
        if let datatype = Datatype(name: text.extracting(contents)) { return datatype }
        let names = Datatype.allCases.map { "\($0.name)" }.joined(separator: ", ")
        throw Failure(
            .badInput,
            "the input \"\(shown(name))\" has the datatype "
                + "\"\(Bytes.string(text, contents.prefix(40)))\"; there are \(names)"
        )
    }

    private func take(
        shape place: Int,
        of name: Range<Int>,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) -> (Range<Int>, Int) {
        guard place >= 0, document.entries[place].kind == .array else {
            throw Failure(.badRequest, "the input \"\(shown(name))\" has no \"shape\"")
        }
        let start = sizes.count
        var count = 1
        var index = place + 1
        while index < Int(document.entries[place].next) {
            let entry = document.entries[index]
            guard entry.kind == .number, sizes.count - start < Self.rankMaximum,
                let size = Bytes.decimal(text.extracting(entry.range))
                    .flatMap({ Int(exactly: $0) })
            else {
                throw Failure(
                    .badInput,
                    "the input \"\(shown(name))\" has a \"shape\" that is not a list of at most "
                        + "\(Self.rankMaximum) whole numbers from 0 on"
                )
            }
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow, product < Datatype.elementsLimit else {
                throw Failure(
                    .badInput,
                    "the input \"\(shown(name))\" has a \"shape\" beyond all bounds"
                )
            }
            count = product
            sizes.append(size)
            index = Int(entry.next)
        }
        return (start..<sizes.count, count)
    }

    /// Whether a value that has to be an object is there, and not null.
    static func isObject(
        _ place: Int,
        _ name: StaticString,
        _ document: borrowing JSONDocument
    ) throws(Failure) -> Bool {
        switch document.entries[place].kind {
        case .object: return true
        case .null: return false
        default: throw Failure(.badRequest, "\"\(name)\" is no object")
        }
    }

    private static func boolean(
        _ place: Int,
        _ name: StaticString,
        _ document: borrowing JSONDocument
    ) throws(Failure) -> Bool {
        guard document.entries[place].kind == .boolean else {
            throw Failure(.badInput, "\"\(name)\" is neither true nor false")
        }
        return document.entries[place].flag
    }

    static func text(_ entry: JSONEntry, _ text: Span<UInt8>) -> String {
        Bytes.string(text, entry.range.prefix(40))
    }
}

@available(*, unavailable)
extension TensorRequest: Sendable {}
