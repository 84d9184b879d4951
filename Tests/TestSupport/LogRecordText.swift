// Lines of the request log, written by hand in the form that a host writes.

/// One record, or a part of one.
package struct LogRecordText {
    package var sequence = 1
    package var time = "2026-11-21T03:00:00.000000Z"
    package var id = "q"
    package var endpoint: String? = "pricing"
    package var split: String? = "control"
    /// Of the deployment `main/model`; nil: a static value answered.
    package var version: Int? = 1
    package var assignment: String? = "subject"
    package var status = 200
    package var code: String?
    package var microseconds = 1000
    /// One for each row; nil: the row has none.
    package var subjects: [String?] = ["7"]
    package var part: Int?

    package init(_ change: (inout LogRecordText) -> Void = { _ in }) { change(&self) }

    /// The line with its end.
    package var line: String {
        var text = "{\"time\":\"\(time)\",\"sequence\":\(sequence),\"requestId\":\"\(id)\""
        text += ",\"surface\":\"native\""
        if let endpoint { text += ",\"endpointName\":\"\(endpoint)\"" }
        if let split { text += ",\"backendName\":\"\(split)\",\"experimentId\":\"foo\"" }
        if let assignment { text += ",\"assignment\":\"\(assignment)\",\"configRevision\":1" }
        if let version {
            text +=
                ",\"deployment\":{\"branch\":\"main\",\"name\":\"model\",\"version\":\(version)}"
        }
        text += ",\"status\":\(status)"
        if let code { text += ",\"code\":\"\(code)\"" }
        text += ",\"durationMicroseconds\":\(microseconds),\"queueMicroseconds\":0"
        text += ",\"batchSize\":\(subjects.count),\"results\":["
        text += subjects.enumerated().map { row, subject in
            "{\"id\":\(row)\(subject.map { ",\"subjectId\":\"\($0)\"" } ?? "")}"
        }.joined(separator: ",")
        return text + "]\(part.map { ",\"part\":\($0)" } ?? "")}\n"
    }
}
