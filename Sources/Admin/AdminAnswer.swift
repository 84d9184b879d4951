// What the admin listener says, and the codes that it has beside those of predictions.

import Bytes
package import HTTP
package import JSON
import Serving

/// One answer to an admin.
package struct AdminAnswer: Sendable {
    package var status: Status
    package var contentType: StaticString = "application/json"
    /// Further fields, each ended by CR and LF.
    package var fields = ""
    package var body: [UInt8]
    /// Whether it was a stranger that asked: the connection ends with it.
    var isRefusal = false
    /// Code and sentence of a failure.
    private(set) var failure: (code: String, sentence: String)?

    /// An answer in JSON.
    package init(_ status: Status, _ value: JSONValue) {
        self.status = status
        body = Array("\(value.text)\n".utf8)
    }

    /// An answer in another form.
    package init(_ status: Status, _ contentType: StaticString, _ text: [UInt8]) {
        self.status = status
        self.contentType = contentType
        body = text
    }

    /// A failure: one sentence and a stable code; `errors` are all that is wrong, where that may
    /// be several things.
    package init(_ status: Status, _ code: String, _ sentence: String, errors: [String] = []) {
        var members: [JSONValue.Member] = [
            .init("error", .string(sentence)), .init("code", .string(code)),
        ]
        if !errors.isEmpty {
            members.append(.init("errors", .array(errors.map { .string($0) })))
        }
        self.init(status, .object(members))
        failure = (code, sentence)
    }

    /// The same as clients of the Dataiku API node read it: a failure has another form there.
    var inDataikuForm: AdminAnswer {
        guard let failure else { return self }
        var answer = AdminAnswer(
            status,
            .object([
                .init("errorType", .string(failure.code)),
                .init("message", .string(failure.sentence)),
            ])
        )
        answer.fields = fields
        answer.isRefusal = isRefusal
        return answer
    }
}

extension AdminAnswer {
    /// What a commit came to; `done` is what was changed in the store before it, nil for nothing.
    init(_ outcome: CommitOutcome, before: Int, done: [JSONValue.Member]? = nil) {
        switch outcome {
        case .committed(let committed), .unchanged(let committed):
            self.init(
                .ok,
                .object(
                    [
                        .init("outcome", .string(outcome.name)),
                        .init("configRevision", .number("\(committed.revision.number)")),
                        .init("previousRevision", .number("\(before)")),
                        .init("changes", .array(committed.changes.map(\.json))),
                    ]
                        + (committed.leftOut.isEmpty
                            ? [] : [.init("leftOut", .array(committed.leftOut.map(\.json)))])
                        + (committed.warnings.isEmpty
                            ? []
                            : [.init("warnings", .array(committed.warnings.map { .string($0) }))])
                        + (done ?? [])
                )
            )
        case .failed(let failure):
            let what = done == nil ? "nothing is changed" : "the store is changed, and nothing else"
            self.init(
                .conflict,
                failure.code.rawValue,
                "\(what): \(failure.errors.first ?? "")",
                errors: failure.errors
            )
        }
    }
}
