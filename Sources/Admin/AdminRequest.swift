// What an admin asks, read member by member: what is mistyped is refused, never passed over.

import Bytes
import HTTP
import JSON
import Platform
import Serving

/// One request of an admin who may.
struct AdminRequest: Sendable {
    let method: Method
    let parts: [String]
    let body: [UInt8]
    let author: String

    /// The body's value.
    ///
    /// - Parameter advice: what a refusal of a body that is not JSON adds.
    func value(advice: String = "") throws(AdminAnswer.Refusal) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(parsing: body)
        } catch {
            throw AdminAnswer.Refusal(
                "the body is not JSON: \(error)\(advice)",
                status: .badRequest,
                code: "bad_json"
            )
        }
    }

    /// The members of the body's object; nothing for an empty body.
    func members() throws(AdminAnswer.Refusal) -> [JSONValue.Member] {
        if body.isEmpty { return [] }
        guard let members = try value().object else {
            throw AdminAnswer.Refusal("the body is no JSON object")
        }
        return members
    }

    /// Refuses members that mean nothing here: a mistyped one must not be passed over.
    func requireOnly(_ names: [String]) throws(AdminAnswer.Refusal) {
        for member in try members() where !names.contains(member.name) {
            let guess = Suggestion.nearest(to: member.name, in: names)
            throw AdminAnswer.Refusal(
                "the body has an unknown member '\(member.name.prefix(100))'"
                    + (guess.map { "; did you mean '\($0)'?" } ?? "")
                    + (names.isEmpty
                        ? "; it takes none" : "; it takes \(names.joined(separator: ", "))")
            )
        }
    }

    /// Members that every change takes.
    static let termNames = ["ifRevision", "because"]
    /// Characters of a reason, as JSON Schema counts them.
    static let reasonMaximum = 500

    /// On which terms the change is asked for.
    func terms() throws(AdminAnswer.Refusal) -> CommitTerms {
        let reason = try text("because")
        let count = reason?.unicodeScalars.count ?? 0
        guard count <= Self.reasonMaximum else {
            throw AdminAnswer.Refusal(
                "'because' has \(count) characters; wanted at most \(Self.reasonMaximum)"
            )
        }
        return CommitTerms(
            ifRevision: try number("ifRevision"),
            reason: reason.map { Visible.line($0) },
            isExplicit: true
        )
    }

    /// Refuses members that mean nothing to a change which takes these beside its terms.
    func requireOnly(change names: [String]) throws(AdminAnswer.Refusal) {
        try requireOnly(names + Self.termNames)
    }

    /// A member that is true or false; false where it is missing.
    func boolean(_ name: String) throws(AdminAnswer.Refusal) -> Bool {
        guard let value = try members().first(where: { $0.name == name })?.value else {
            return false
        }
        guard let boolean = value.boolean else {
            throw AdminAnswer.Refusal("'\(name)' is neither true nor false")
        }
        return boolean
    }

    /// A member that is a text; nil where it is missing.
    func text(_ name: String) throws(AdminAnswer.Refusal) -> String? {
        guard let value = try members().first(where: { $0.name == name })?.value else {
            return nil
        }
        guard let text = value.string else { throw AdminAnswer.Refusal("'\(name)' is no text") }
        return text
    }

    /// Beyond it nothing is numbered.
    private static let numberMaximum = 1_000_000_000

    /// A member that is a whole number from 0 on; nil where it is missing.
    func number(_ name: String) throws(AdminAnswer.Refusal) -> Int? {
        guard let value = try members().first(where: { $0.name == name })?.value else {
            return nil
        }
        // 5.0 is a whole number too.
        var number = value.unsigned.flatMap { Int(exactly: $0) }
        if number == nil, case .number(let text) = value {
            number = Double(text).flatMap { Int(exactly: $0) }
        }
        guard let number, number >= 0, number <= Self.numberMaximum else {
            throw AdminAnswer.Refusal(
                "'\(name)' is no whole number from 0 to \(Self.numberMaximum)"
            )
        }
        return number
    }
}

extension AdminAnswer {
    /// Why nothing is done about a request.
    struct Refusal: Error {
        let status: Status
        let code: String
        let sentence: String

        init(_ sentence: String, status: Status = .badRequest, code: String = "bad_request") {
            (self.status, self.code, self.sentence) = (status, code, sentence)
        }

        /// There is no such thing: `code` says of which kind.
        static func missing(_ code: String, _ sentence: String) -> Refusal {
            Refusal(sentence, status: .notFound, code: code)
        }

        /// There is no thread for it at the moment.
        static func noThread(_ error: SystemError) -> Refusal {
            Refusal(
                "no thread can be started: \(error); ask again later",
                status: .serviceUnavailable,
                code: "not_ready"
            )
        }

        var answer: AdminAnswer { AdminAnswer(status, code, sentence) }
    }

    static let notFound = AdminAnswer(
        .notFound,
        "route_not_found",
        "there is nothing at this path; GET /openapi.json says what there is"
    )

    static func notAllowed(_ methods: String) -> AdminAnswer {
        var answer = AdminAnswer(
            .methodNotAllowed,
            "method_not_allowed",
            "this path takes \(methods)"
        )
        answer.fields = "Allow: \(methods)\r\n"
        return answer
    }
}
