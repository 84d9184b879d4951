// The native protocol, which is Modelbit's: `{"data": …}` in, `{"data": …, "split": …}` out.

import Bytes
package import Endpoints
package import JSON

/// Reads native requests and writes native answers.
package enum NativeSurface {
    private static let dataName = Array("data".utf8)

    /// Finds the arguments in a checked request: their indices in the document.
    ///
    /// An object, string, number, boolean or null is one argument; an array holds the arguments.
    package static func decode(
        _ document: borrowing JSONDocument,
        in text: Span<UInt8>,
        arguments: inout [Int]
    ) throws(Failure) {
        arguments.removeAll(keepingCapacity: true)
        guard document.entries[0].kind == .object else {
            throw Failure(.badRequest, "the body must be an object with the member \"data\"")
        }
        guard let data = document.member(dataName, of: 0, in: text) else {
            throw Failure(.badRequest, "the body has no member \"data\"")
        }
        guard document.entries[data].kind == .array else {
            arguments.append(data)
            return
        }
        let end = Int(document.entries[data].next)
        var index = data + 1
        if index < end, document.entries[index].kind == .array {
            throw Failure(
                .badRequest,
                "\"data\" is a list of lists, a batch; this release takes single requests only"
            )
        }
        while index < end {
            arguments.append(index)
            index = Int(document.entries[index].next)
        }
        guard arguments.count <= 64 else {
            throw Failure(
                .badInput,
                "\"data\" has \(arguments.count) arguments; at most 64 are taken"
            )
        }
    }

    /// The value that names the subject: its index in the document, or nil when there is none.
    package static func subject(
        _ key: SubjectKey,
        name: [UInt8],
        arguments: [Int],
        of document: borrowing JSONDocument,
        in text: Span<UInt8>
    ) -> Int? {
        switch key {
        case .member:
            guard let first = arguments.first else { return nil }
            return document.member(name, of: first, in: text)
        case .argument(let position):
            return position < arguments.count ? arguments[position] : nil
        }
    }

    /// Appends the body of an answer: `data` first, then what says how it came about.
    package static func appendAnswer(
        _ result: Span<UInt8>,
        requestID: [UInt8],
        split: SplitText,
        assignment: AssignmentKind,
        subject: [UInt8]?,
        to body: inout [UInt8]
    ) {
        body.append("{\"data\":")
        body.append(result)
        body.append(",\"requestId\":")
        body.append(jsonString: requestID.span)
        appendSplit(split, assignment, subject, to: &body)
        body.append("}")
    }

    /// Appends the body of a failure; `split` where it happened after the assignment.
    package static func appendFailure(
        _ failure: Failure,
        requestID: [UInt8],
        split: (text: SplitText, assignment: AssignmentKind, subject: [UInt8]?)?,
        to body: inout [UInt8]
    ) {
        body.append("{\"error\":")
        body.append(jsonString: failure.sentence)
        body.append(",\"code\":\"\(failure.code.rawValue)\",\"requestId\":")
        body.append(jsonString: requestID.span)
        if let split { appendSplit(split.text, split.assignment, split.subject, to: &body) }
        body.append("}")
    }

    private static func appendSplit(
        _ split: SplitText,
        _ assignment: AssignmentKind,
        _ subject: [UInt8]?,
        to body: inout [UInt8]
    ) {
        body.append(",\"split\":{")
        body.append(contentsOf: split.opening)
        if let subject {
            body.append(",\"subjectId\":")
            body.append(jsonString: subject.span)
        }
        body.append(",\"assignment\":\"")
        body.append(assignment.rawValue)
        body.append("\"")
        body.append(contentsOf: split.closing)
        body.append("}")
    }
}
