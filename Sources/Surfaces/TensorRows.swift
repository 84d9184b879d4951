// From tensors to rows of JSON values, for models that take those: the same inputs as of every
// other protocol, so that a model need not know where a request came from.
//
// The leading index of every tensor counts the rows. A row is an object with a member for each
// tensor; for a model that declares no inputs it is a list of arguments, one for each tensor.

import Bytes
package import Endpoints
package import JSON

extension TensorRequest {
    /// How many rows there are.
    ///
    /// - Parameter limits: how many there may be.
    package func rows(_ limits: CallLimits) throws(Failure) -> Int {
        let rows = self.rows(of: tensors[0])
        for tensor in tensors where self.rows(of: tensor) != rows {
            throw Failure(
                .badInput,
                "the inputs differ in their number of rows, the first size of a shape: "
                    + "\"\(shown(tensors[0].name))\" has \(rows), \"\(shown(tensor.name))\" has "
                    + "\(self.rows(of: tensor))"
            )
        }
        guard rows > 0, rows <= limits.rows else {
            throw Failure(
                .badInput,
                "there are \(rows) rows, the first size of each shape; wanted 1 to \(limits.rows)"
            )
        }
        return rows
    }

    /// Appends the rows as one JSON list.
    ///
    /// - Parameters:
    ///   - rows: how many there are.
    ///   - binding: what the model takes.
    ///   - document: the header's values.
    ///   - body: the whole body.
    ///   - text: what is appended to.
    package func appendRows(
        _ rows: Int,
        for binding: InputBinding,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        to text: inout [UInt8]
    ) throws(Failure) {
        let names = names
        // What the model does not take is passed over. Whether each takes any JSON value:
        var taken: [(tensor: Tensor, takesJSON: Bool)] = []
        for tensor in tensors {
            let type = binding.type(of: names.span.extracting(tensor.name))
            if binding.isDeclared, type == nil { continue }
            guard tensor.count > 0 else {
                throw Failure(
                    .badInput,
                    "the input \"\(shown(tensor.name))\" has no elements: its shape is "
                        + "\(shape(of: tensor))"
                )
            }
            taken.append((tensor, type == nil || type == .json))
        }
        text.append(UInt8(ascii: "["))
        for row in 0..<rows {
            if row > 0 { text.append(UInt8(ascii: ",")) }
            text.append(binding.isDeclared ? "{" : "[")
            try requireRoom(text)
            for (index, (tensor, takesJSON)) in taken.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                if binding.isDeclared {
                    text.append(jsonString: names.span.extracting(tensor.name))
                    text.append(UInt8(ascii: ":"))
                }
                let size = tensor.count / rows
                var element = row * size
                // One element is a value by itself, but where a list may be meant.
                let isOne =
                    size == 1
                    && (!takesJSON || tensor.shape.count < 2 || tensor.datatype == .bytes)
                try append(
                    tensor,
                    shape: isOne ? tensor.shape.suffix(0) : tensor.shape.dropFirst(),
                    &element,
                    asJSON: takesJSON,
                    document,
                    body,
                    &text
                )
            }
            text.append(binding.isDeclared ? "}" : "]")
        }
        text.append(UInt8(ascii: "]"))
    }

    /// Bytes of all rows of a call.
    private static let rowBytesMaximum = 64 << 20

    private func requireRoom(_ text: [UInt8]) throws(Failure) {
        guard text.count > Self.rowBytesMaximum else { return }
        throw Failure(
            .tooLarge,
            "the tensors make rows of more than \(Self.rowBytesMaximum) bytes; send fewer at once"
        )
    }

    /// Appends a value, or lists of them, beginning with an element.
    private func append(
        _ tensor: Tensor,
        shape: Range<Int>,
        _ element: inout Int,
        asJSON: Bool,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        _ text: inout [UInt8]
    ) throws(Failure) {
        guard let size = shape.first.map({ sizes[$0] }) else {
            try append(element, of: tensor, asJSON: asJSON, document, body, &text)
            element += 1
            return
        }
        text.append(UInt8(ascii: "["))
        try requireRoom(text)
        for index in 0..<size {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            try append(
                tensor,
                shape: shape.dropFirst(),
                &element,
                asJSON: asJSON,
                document,
                body,
                &text
            )
        }
        text.append(UInt8(ascii: "]"))
    }

    /// Appends one element.
    private func append(
        _ element: Int,
        of tensor: Tensor,
        asJSON: Bool,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        _ text: inout [UInt8]
    ) throws(Failure) {
        if let bytes = tensor.bytes, let size = tensor.datatype.size {
            let position = bytes.lowerBound + element * size
            guard TensorElement.append(tensor.datatype, body, position, to: &text) else {
                throw Failure(
                    .badInput,
                    "the input \"\(shown(tensor.name))\" has no finite number at \(element), and "
                        + "the model takes JSON values, which cannot express that"
                )
            }
            return
        }
        let place = elementPlace(element, of: tensor, document)
        guard tensor.datatype == .bytes else { return text.append(body.extracting(place.range)) }
        guard !asJSON else {
            return try appendJSON(element, tensor, place, body, &text)
        }
        if !place.isRaw { return text.append(body.extracting(place.range)) }
        try appendString(body.extracting(place.range), element, tensor, &text)
    }

    /// Appends an element of BYTES for somebody who takes any JSON value: the value that its text
    /// is, or, if it is none, a string.
    private func appendJSON(
        _ element: Int,
        _ tensor: Tensor,
        _ place: (range: Range<Int>, isRaw: Bool),
        _ body: Span<UInt8>,
        _ text: inout [UInt8]
    ) throws(Failure) {
        var json: [UInt8] = []
        if place.isRaw {
            json.append(body.extracting(place.range))
        } else {
            let contents = place.range.lowerBound + 1..<place.range.upperBound - 1
            json = JSONText.unescaped(body.extracting(contents))
        }
        // A word that is none of JSON's is a string, which most are that are meant as such.
        let first = json.first ?? 0
        let isWord = first | 0x20 >= 0x61 && first | 0x20 <= 0x7a
        let mayBeJSON = !isWord || first == 0x6e || first == 0x74 || first == 0x66
        if !json.isEmpty, mayBeJSON, (try? check.parse(json.span)) != nil { return text += json }
        try appendString(json.span, element, tensor, &text)
    }

    private func appendString(
        _ contents: Span<UInt8>,
        _ element: Int,
        _ tensor: Tensor,
        _ text: inout [UInt8]
    ) throws(Failure) {
        guard Bytes.arePlain(contents) || isUTF8(contents) else {
            throw Failure(
                .badInput,
                "the input \"\(shown(tensor.name))\" is no UTF-8 at \(element), and the model "
                    + "takes JSON values, which are"
            )
        }
        text.append(jsonString: contents)
    }

    /// Where an element stands in the body that is no element of one size; `isRaw`: as bytes, and
    /// not as a JSON value.
    func elementPlace(
        _ element: Int,
        of tensor: Tensor,
        _ document: borrowing JSONDocument
    ) -> (range: Range<Int>, isRaw: Bool) {
        if tensor.bytes != nil {
            let index = tensor.elements.lowerBound + 2 * element
            return (elements[index]..<elements[index + 1], true)
        }
        return (document.entries[elements[tensor.elements.lowerBound + element]].range, false)
    }

    private func isUTF8(_ text: Span<UInt8>) -> Bool {
        var copy: [UInt8] = []
        copy.append(text)
        return String(validating: copy, as: UTF8.self) != nil
    }

    // MARK: Subjects

    /// Appends the canonical subject that the tensor with this name has in every row; false: there
    /// is none, or rows differ.
    package func appendSubject(
        _ name: [UInt8],
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        to subject: inout [UInt8]
    ) -> Bool {
        guard let tensor = tensor(named: name.span), tensor.count > 0 else { return false }
        guard appendSubject(0, of: tensor, document, body, to: &subject) else { return false }
        var other: [UInt8] = []
        for element in 1..<max(tensor.count, 1) {
            if isSame(element, asFirstOf: tensor, document, body) { continue }
            other.removeAll(keepingCapacity: true)
            guard appendSubject(element, of: tensor, document, body, to: &other), other == subject
            else { return false }
        }
        return true
    }

    /// Whether an element has the very bytes of the first one.
    private func isSame(
        _ element: Int,
        asFirstOf tensor: Tensor,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>
    ) -> Bool {
        if let bytes = tensor.bytes, let size = tensor.datatype.size {
            let first = bytes.lowerBound..<bytes.lowerBound + size
            let start = bytes.lowerBound + element * size
            return Bytes.equal(body, first, start..<start + size)
        }
        let first = elementPlace(0, of: tensor, document).range
        return Bytes.equal(body, first, elementPlace(element, of: tensor, document).range)
    }

    private func appendSubject(
        _ element: Int,
        of tensor: Tensor,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        to subject: inout [UInt8]
    ) -> Bool {
        var text: [UInt8] = []
        if let bytes = tensor.bytes, let size = tensor.datatype.size {
            let position = bytes.lowerBound + element * size
            guard TensorElement.append(tensor.datatype, body, position, to: &text) else {
                return false
            }
        } else {
            let place = elementPlace(element, of: tensor, document)
            guard place.isRaw else {
                let index = elements[tensor.elements.lowerBound + element]
                return Subject.append(document.entries[index], in: body, to: &subject)
            }
            let contents = body.extracting(place.range)
            guard Bytes.arePlain(contents) || isUTF8(contents) else { return false }
            subject.append(body.extracting(place.range))
            return !place.range.isEmpty
        }
        guard (try? check.parse(text.span)) != nil else { return false }
        return Subject.append(check.entries[0], in: text.span, to: &subject)
    }

    // MARK: Text

    /// Appends all tensors as the protocol has them in JSON; what JSON cannot express is null.
    package func appendTensors(
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        to text: inout [UInt8]
    ) {
        let names = names
        text.append(UInt8(ascii: "["))
        for (index, tensor) in tensors.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.append("{\"name\":")
            text.append(jsonString: names.span.extracting(tensor.name))
            TensorResult.appendType(tensor.datatype, shape(of: tensor), to: &text)
            for element in 0..<tensor.count {
                if element > 0 { text.append(UInt8(ascii: ",")) }
                if let bytes = tensor.bytes, let size = tensor.datatype.size {
                    let position = bytes.lowerBound + element * size
                    if !TensorElement.append(tensor.datatype, body, position, to: &text) {
                        text.append("null")
                    }
                    continue
                }
                let place = elementPlace(element, of: tensor, document)
                if place.isRaw {
                    text.append(jsonString: body.extracting(place.range))
                } else {
                    text.append(body.extracting(place.range))
                }
            }
            text.append("]}")
        }
        text.append(UInt8(ascii: "]"))
    }

    // MARK: Bytes

    /// Appends the bytes of a tensor whose elements stand in the header.
    package func pack(
        _ tensor: Tensor,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>,
        to bytes: inout [UInt8]
    ) {
        for index in tensor.elements {
            let range = document.entries[elements[index]].range
            TensorElement.pack(tensor.datatype, body.extracting(range), to: &bytes)
        }
    }
}
