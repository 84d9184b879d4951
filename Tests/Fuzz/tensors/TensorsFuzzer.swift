// Requests for an inference: two bytes say how long the header is, the rest is the body.

import Bytes
import Endpoints
import FuzzSupport
import JSON
import Surfaces

/// Runs one input.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard input.count >= 2 else { return 0 }
    let body = Array(input[2...])
    let header = min(Int(input[0]) | Int(input[1]) << 8, body.count)
    TensorsFuzzer.check(body, header: header)
    TensorsFuzzer.checkRaw(body)
    return 0
}

private enum TensorsFuzzer {
    static func check(_ body: [UInt8], header: Int) {
        var document = JSONDocument()
        guard (try? document.parse(body.span.extracting(0..<header))) != nil else { return }
        let request = TensorRequest()
        do throws(Failure) {
            try request.decode(document, in: body.span, header: header)
        } catch {
            return requireSentence(error)
        }
        Property.require(!request.tensors.isEmpty, "there is a tensor")
        for tensor in request.tensors {
            Property.require(
                Datatype.elements(of: request.shape(of: tensor)) == tensor.count,
                "the count"
            )
            checkTensor(tensor, request, document, body, header)
        }
        checkRows(request, document, body)
    }

    /// The whole input as one tensor of each type.
    static func checkRaw(_ body: [UInt8]) {
        for datatype in Datatype.allCases {
            let request = TensorRequest()
            let input = TensorDescription(name: "x", datatype: datatype, shape: [-1])
            do throws(Failure) {
                try request.decode(raw: body.span, as: input)
            } catch {
                requireSentence(error)
                continue
            }
            let size = datatype.size ?? body.count
            Property.require(request.tensors[0].count * size == body.count, "nothing is left")
            if body.count < 256 { checkRows(request, JSONDocument(), body) }
        }
    }

    private static func requireSentence(_ failure: Failure) {
        let isPlain = failure.sentence.unicodeScalars.allSatisfy { $0.value != 0 }
        Property.require(!failure.sentence.isEmpty && isPlain, "a failure is a sentence")
    }

    /// The bytes of a tensor lie behind the header, or can be made of its elements.
    private static func checkTensor(
        _ tensor: TensorRequest.Tensor,
        _ request: TensorRequest,
        _ document: JSONDocument,
        _ body: [UInt8],
        _ header: Int
    ) {
        var bytes: [UInt8] = []
        if let place = tensor.bytes {
            Property.require(place.lowerBound >= header, "bytes stand behind the header")
            Property.require(place.upperBound <= body.count, "bytes stand in the body")
            bytes = Array(body[place])
        } else {
            request.pack(tensor, document, body.span, to: &bytes)
        }
        guard let size = tensor.datatype.size else { return }
        Property.require(bytes.count == tensor.count * size, "\(tensor.datatype.name) has its size")
        guard tensor.bytes == nil, tensor.count < 64 else { return }
        // What was packed reads back as the text that packs to the same.
        for index in 0..<tensor.count {
            var text: [UInt8] = []
            guard TensorElement.append(tensor.datatype, bytes.span, index * size, to: &text) else {
                continue
            }
            var again: [UInt8] = []
            TensorElement.pack(tensor.datatype, text.span, to: &again)
            let element = bytes[index * size..<(index + 1) * size]
            Property.require(
                again.elementsEqual(element),
                "\(String(decoding: text, as: UTF8.self))"
            )
        }
    }

    /// Rows are strict JSON, one for each leading index, for models of every kind.
    private static func checkRows(
        _ request: TensorRequest,
        _ document: JSONDocument,
        _ body: [UInt8]
    ) {
        var limits = CallLimits()
        limits.rows = 100
        guard let rows = try? request.rows(limits) else { return }
        // Lists of nothing may be nested without end.
        guard
            request.tensors.allSatisfy({
                request.shape(of: $0).reduce(1, { $0 &* max($1, 1) }) < 10_000
            })
        else { return }
        let names = ["x", "y"]
        let kinds: [[InputDescription]?] =
            [nil]
            + InputType.allCases.map { type in
                names.map { InputDescription(name: $0, type: type, isRequired: false) }
            }
        for inputs in kinds {
            let binding = InputBinding(inputs)
            var text: [UInt8] = []
            do throws(Failure) {
                try request.appendRows(rows, for: binding, document, body.span, to: &text)
            } catch {
                requireSentence(error)
                continue
            }
            var list = JSONDocument()
            list.depthMaximum = 200
            guard (try? list.parse(text.span)) != nil else {
                fatalError("rows are JSON: \(String(decoding: text.prefix(400), as: UTF8.self))")
            }
            var call = PredictionCall()
            call.takeRows(of: list, areLists: inputs == nil)
            Property.require(call.rows.count == rows, "as many rows as there are")
        }
        var subject: [UInt8] = []
        _ = request.appendSubject(Array("x".utf8), document, body.span, to: &subject)
        var shown: [UInt8] = []
        request.appendTensors(document, body.span, to: &shown)
        var written = JSONDocument()
        Property.require((try? written.parse(shown.span)) != nil, "tensors are written as JSON")
    }
}
