// The elements of a request's tensors, checked against their types and shapes.

import Bytes
import Endpoints
import JSON

extension TensorRequest {
    /// Bytes that grow with a request.
    package var capacityBytes: Int {
        (elements.capacity + sizes.capacity) * 8 + names.capacity + id.capacity
    }

    /// Takes the elements of a tensor that stands in the header: a list, or lists in lists.
    func take(
        _ data: Int,
        of tensor: Tensor,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) -> Range<Int> {
        let start = elements.count
        guard document.entries[data].kind == .array else {
            throw Failure(
                .badInput,
                "the input \"\(shown(tensor.name))\" has \"data\" that is no list"
            )
        }
        // Every value that is no list is an element, however deep it stands.
        for index in data + 1..<Int(document.entries[data].next)
        where document.entries[index].kind != .array {
            try requireElement(index, of: tensor, document, text)
            elements.append(index)
        }
        guard elements.count - start == tensor.count else {
            throw Failure(
                .badInput,
                "the input \"\(shown(tensor.name))\" has \(elements.count - start) elements; its "
                    + "shape \(shape(of: tensor)) has \(tensor.count)"
            )
        }
        return start..<elements.count
    }

    private func requireElement(
        _ index: Int,
        of tensor: Tensor,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) {
        let entry = document.entries[index]
        switch (tensor.datatype, entry.kind) {
        case (.bool, .boolean), (.bytes, .string): return
        case (_, .number) where tensor.datatype.isFloat:
            let number = JSONNumber.double(text.extracting(entry.range))
            if number.magnitude <= tensor.datatype.greatest { return }
        case (_, .number):
            if let range = tensor.datatype.integers,
                let number = TensorElement.integer(text.extracting(entry.range)),
                range.contains(number)
            {
                return
            }
        default: break
        }
        throw Failure(
            .badInput,
            "the input \"\(shown(tensor.name))\" has the element \(Self.text(entry, text)), "
                + "which is "
                + "no \(tensor.datatype.name)"
        )
    }

    /// Takes the bytes of a tensor.
    func take(
        _ range: Range<Int>,
        of tensor: inout Tensor,
        _ body: Span<UInt8>
    ) throws(Failure) {
        tensor.bytes = range
        if let size = tensor.datatype.size {
            guard range.count == tensor.count * size else {
                throw Failure(
                    .badInput,
                    "the input \"\(shown(tensor.name))\" has \(range.count) bytes; "
                        + "\(tensor.datatype.name) of shape \(shape(of: tensor)) has "
                        + "\(tensor.count * size)"
                )
            }
            return
        }
        let start = elements.count
        var position = range.lowerBound
        while position + TensorElement.lengthBytes <= range.upperBound {
            let count = TensorElement.length(body, position)
            position += TensorElement.lengthBytes
            guard count <= range.upperBound - position else { break }
            elements.append(position)
            elements.append(position + count)
            position += count
        }
        guard position == range.upperBound, elements.count - start == 2 * tensor.count else {
            throw Failure(
                .badInput,
                "the input \"\(shown(tensor.name))\" is not \(tensor.count) elements of BYTES, "
                    + "each with its count in four bytes before it, in \(range.count) bytes"
            )
        }
        tensor.elements = start..<elements.count
    }
}
