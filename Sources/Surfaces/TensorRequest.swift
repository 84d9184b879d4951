// A request for an inference: its tensors, and how they are to be answered, as places in the body.

import Bytes
package import Endpoints
package import JSON

/// The tensors of one request. It keeps its memory from one request to the next.
package struct TensorRequest: Sendable {
    /// One tensor.
    package struct Tensor: Sendable {
        /// Where its name stands in `names`.
        package let name: Range<Int>
        package let datatype: Datatype
        package let shape: [Int]
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
    /// The index of the value that says whose request it is.
    package private(set) var subject: Int?
    /// How long the caller waits, in nanoseconds.
    package private(set) var timeoutNanoseconds: UInt64?

    package init() {}

    /// Whether the body begins with a header.
    package private(set) var hasHeader = true

    /// The name of a tensor or an output, for sentences.
    package func shown(_ name: Range<Int>) -> String {
        String(decoding: names[name].prefix(64), as: UTF8.self)
    }

    /// The tensor with a name.
    package func tensor(named name: Span<UInt8>) -> Tensor? {
        let names = names
        return tensors.first { Bytes.equal(names.span.extracting($0.name), name) }
    }

    mutating func clear() {
        tensors.removeAll(keepingCapacity: true)
        outputs.removeAll(keepingCapacity: true)
        names.removeAll(keepingCapacity: true)
        elements.removeAll(keepingCapacity: true)
        id.removeAll(keepingCapacity: true)
        (answersBinary, subject, timeoutNanoseconds) = (false, nil, nil)
        hasHeader = true
    }

    /// Gives back what one large request has made grow.
    package mutating func shrink(to bytes: Int) {
        if elements.capacity > bytes / 8 { elements = [] }
        if names.capacity > bytes { names = [] }
    }

    // MARK: Reading

    private static let inputsName = Array("inputs".utf8)
    private static let outputsName = Array("outputs".utf8)
    private static let nameName = Array("name".utf8)
    private static let shapeName = Array("shape".utf8)
    private static let datatypeName = Array("datatype".utf8)
    private static let dataName = Array("data".utf8)
    private static let idName = Array("id".utf8)
    private static let parametersName = Array("parameters".utf8)
    private static let sizeName = Array("binary_data_size".utf8)
    private static let binaryName = Array("binary_data".utf8)
    private static let allBinaryName = Array("binary_data_output".utf8)
    private static let classificationName = Array("classification".utf8)
    private static let subjectName = Array("subject_id".utf8)
    private static let timeoutName = Array("timeout".utf8)

    /// Reads a checked header.
    ///
    /// - Parameters:
    ///   - document: the header's values.
    ///   - body: the whole body, which begins with the header.
    ///   - header: bytes of the header.
    package mutating func decode(
        _ document: borrowing JSONDocument,
        in body: Span<UInt8>,
        header: Int
    ) throws(Failure) {
        clear()
        guard document.entries[0].kind == .object else {
            throw Failure(.badRequest, "the request is no JSON object")
        }
        guard let inputs = document.member(Self.inputsName, of: 0, in: body),
            document.entries[inputs].kind == .array
        else { throw Failure(.badRequest, "the request has no list \"inputs\"") }
        if let place = document.member(Self.idName, of: 0, in: body),
            document.entries[place].kind != .null
        {
            guard document.entries[place].kind == .string,
                document.entries[place].range.count < 1024
            else { throw Failure(.badRequest, "\"id\" is no string of at most 1,000 bytes") }
            id.append(body.extracting(document.entries[place].range))
        }
        try decodeParameters(document, body)
        var position = header
        for place in document.children(of: inputs) {
            try decodeTensor(place, document, body, &position)
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
        try decodeOutputs(document, body)
    }

    private mutating func decodeParameters(
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) {
        guard let parameters = try Self.object(Self.parametersName, of: 0, document, text) else {
            return
        }
        subject = document.member(Self.subjectName, of: parameters, in: text)
        answersBinary =
            try Self.boolean(Self.allBinaryName, of: parameters, document, text) ?? false
        guard let time = document.member(Self.timeoutName, of: parameters, in: text) else { return }
        let entry = document.entries[time]
        let microseconds = Bytes.decimal(Self.text(entry, text).utf8)
        guard entry.kind == .number, let microseconds else {
            throw Failure(
                .badInput,
                "\"timeout\" is \(Self.text(entry, text)); wanted a whole number of microseconds"
            )
        }
        // Zero stands for the default of the server.
        if microseconds > 0 { timeoutNanoseconds = min(microseconds, 1 << 50) * 1000 }
    }

    private mutating func decodeTensor(
        _ index: Int,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        _ position: inout Int
    ) throws(Failure) {
        let number = tensors.count
        guard number < Self.tensorsMaximum else {
            throw Failure(.badInput, "there are more than \(Self.tensorsMaximum) inputs")
        }
        let name = try name(of: index, "input \(number)", document, body)
        let shown = shown(name)
        guard !tensors.contains(where: { names[$0.name] == names[name] }) else {
            throw Failure(.badInput, "the input \"\(shown)\" is there twice")
        }
        let datatype = try Self.datatype(of: index, shown, document, body)
        let (shape, count) = try Self.shape(of: index, shown, document, body)
        var tensor = Tensor(
            name: name,
            datatype: datatype,
            shape: shape,
            count: count,
            bytes: nil,
            elements: 0..<0
        )
        let parameters = try Self.object(Self.parametersName, of: index, document, body)
        let data = document.member(Self.dataName, of: index, in: body)
        let size = parameters.flatMap { document.member(Self.sizeName, of: $0, in: body) }
        switch (data, size) {
        case (let data?, nil):
            tensor.elements = try take(data, of: tensor, document, body)
        case (nil, let size?):
            let entry = document.entries[size]
            guard let bytes = Bytes.decimal(Self.text(entry, body).utf8),
                bytes <= UInt64(body.count - position)
            else {
                throw Failure(
                    .badRequest,
                    "the input \"\(shown)\" has the \"binary_data_size\" "
                        + "\(Self.text(entry, body)), "
                        + "and \(body.count - position) bytes are left of the body"
                )
            }
            let range = position..<position + Int(bytes)
            try take(range, of: &tensor, body)
            position = range.upperBound
        default:
            throw Failure(
                .badInput,
                "the input \"\(shown)\" has \(data == nil ? "neither" : "both") \"data\" "
                    + "\(data == nil ? "nor" : "and") \"binary_data_size\"; wanted one of them"
            )
        }
        tensors.append(tensor)
    }

    private mutating func decodeOutputs(
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) {
        guard let list = document.member(Self.outputsName, of: 0, in: text),
            document.entries[list].kind != .null
        else { return }
        guard document.entries[list].kind == .array else {
            throw Failure(.badRequest, "\"outputs\" is no list")
        }
        for index in document.children(of: list) {
            guard outputs.count < Self.tensorsMaximum else {
                throw Failure(.badInput, "there are more than \(Self.tensorsMaximum) outputs")
            }
            let name = try name(of: index, "output \(outputs.count)", document, text)
            var isBinary: Bool?
            if let place = try Self.object(Self.parametersName, of: index, document, text) {
                isBinary = try Self.boolean(Self.binaryName, of: place, document, text)
                guard document.member(Self.classificationName, of: place, in: text) == nil else {
                    throw Failure(
                        .badInput,
                        "the output \"\(shown(name))\" asks for classification, which this host "
                            + "does "
                            + "not do: leave that parameter out"
                    )
                }
            }
            outputs.append(Output(name: name, isBinary: isBinary ?? answersBinary))
        }
    }

    // MARK: One body, one tensor

    /// Makes the whole body one tensor, whose answer is binary.
    package mutating func decode(raw body: Span<UInt8>, as input: TensorDescription) throws(Failure)
    {
        clear()
        (answersBinary, hasHeader) = (true, false)
        names = Array(input.name.utf8)
        var shape = input.shape
        let known = shape.filter { $0 >= 0 }.reduce(1, *)
        let size = input.datatype.size ?? max(body.count, 1)
        guard shape.count(where: { $0 < 0 }) <= 1, known > 0, body.count % (size * known) == 0
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
        var tensor = Tensor(
            name: 0..<names.count,
            datatype: input.datatype,
            shape: shape,
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

    private mutating func name(
        of object: Int,
        _ what: String,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) -> Range<Int> {
        guard let place = document.member(Self.nameName, of: object, in: text),
            document.entries[place].kind == .string, !document.entries[place].contents.isEmpty
        else { throw Failure(.badRequest, "\(what) is no object with a \"name\"") }
        let start = names.count
        let entry = document.entries[place]
        if entry.flag {
            names += JSONText.unescaped(text.extracting(entry.contents))
        } else {
            names.append(text.extracting(entry.contents))
        }
        return start..<names.count
    }

    private static func datatype(
        of object: Int,
        _ shown: String,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) -> Datatype {
        guard let place = document.member(datatypeName, of: object, in: text),
            document.entries[place].kind == .string
        else { throw Failure(.badRequest, "the input \"\(shown)\" has no \"datatype\"") }
        let contents = document.entries[place].contents
        for datatype in Datatype.allCases where Bytes.equal(text, contents, datatype.name) {
            return datatype
        }
        let names = Datatype.allCases.map { "\($0.name)" }.joined(separator: ", ")
        throw Failure(
            .badInput,
            "the input \"\(shown)\" has the datatype "
                + "\"\(Bytes.string(text, contents.prefix(40)))\"; "
                + "there are \(names)"
        )
    }

    private static func shape(
        of object: Int,
        _ shown: String,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) -> ([Int], Int) {
        guard let place = document.member(shapeName, of: object, in: text),
            document.entries[place].kind == .array
        else { throw Failure(.badRequest, "the input \"\(shown)\" has no \"shape\"") }
        var shape: [Int] = []
        var index = place + 1
        while index < Int(document.entries[place].next) {
            let entry = document.entries[index]
            guard entry.kind == .number, shape.count < rankMaximum,
                let size = Bytes.decimal(Self.text(entry, text).utf8).flatMap({ Int(exactly: $0) })
            else {
                throw Failure(
                    .badInput,
                    "the input \"\(shown)\" has a \"shape\" that is not a list of at most "
                        + "\(rankMaximum) whole numbers from 0 on"
                )
            }
            shape.append(size)
            index = Int(entry.next)
        }
        guard let count = Datatype.elements(of: shape), count < 1 << 31 else {
            throw Failure(.badInput, "the input \"\(shown)\" has a \"shape\" beyond all bounds")
        }
        return (shape, count)
    }

    private static func object(
        _ name: [UInt8],
        of object: Int,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) -> Int? {
        guard let place = document.member(name, of: object, in: text),
            document.entries[place].kind != .null
        else { return nil }
        guard document.entries[place].kind == .object else {
            throw Failure(.badRequest, "\"\(String(decoding: name, as: UTF8.self))\" is no object")
        }
        return place
    }

    private static func boolean(
        _ name: [UInt8],
        of object: Int,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) -> Bool? {
        guard let place = document.member(name, of: object, in: text) else { return nil }
        guard document.entries[place].kind == .boolean else {
            let shown = String(decoding: name, as: UTF8.self)
            throw Failure(.badInput, "\"\(shown)\" is neither true nor false")
        }
        return document.entries[place].flag
    }

    static func text(_ entry: JSONEntry, _ text: Span<UInt8>) -> String {
        Bytes.string(text, entry.range.prefix(40))
    }
}
