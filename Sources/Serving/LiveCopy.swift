// What the next worker has to know of what is live, without asking the disk.

import Bytes
import JSON

/// The revision that is live, and what is wrong beside it.
package struct LiveCopy: Sendable {
    package let revision: Revision
    /// Why the files are not what is served; nil when they are.
    package let degraded: String?
    /// Why the last reload has changed nothing; nil: it did.
    package let failedReload: String?

    init(_ committed: Committed, failedReload: String?) {
        revision = committed.revision
        degraded = committed.degraded
        self.failedReload = failedReload
    }

    /// One line about the host, then the revision's own text.
    var bytes: [UInt8] {
        var members: [JSONValue.Member] = []
        if let degraded { members.append(.init("degraded", .string(degraded))) }
        if let failedReload { members.append(.init("failedReload", .string(failedReload))) }
        return Array("\(JSONValue.object(members).text)\n\(revision.text)".utf8)
    }

    /// Reads what `bytes` writes; nil when it is something else.
    init?(parsing bytes: [UInt8]) {
        guard let end = bytes.firstIndex(of: 0x0a),
            let facts = try? JSONValue(parsing: Array(bytes[..<end])),
            let revision = try? Revision(parsing: Array(bytes[(end + 1)...]))
        else { return nil }
        self.revision = revision
        (degraded, failedReload) = (facts["degraded"]?.string, facts["failedReload"]?.string)
    }
}
