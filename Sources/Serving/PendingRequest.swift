// What is known of the request at the front of a connection's input, while it arrives.

package import HTTP

/// The request that is being received.
package struct PendingRequest {
    /// What the input holds.
    package enum Step {
        case nothing
        /// An empty line behind a request, which RFC 9112 2.2 says to ignore.
        case emptyLine
        case incomplete
        /// The client waits for `100 Continue` before it sends the body.
        case wantsContinue
        case complete(RequestHead, total: Int)
        case fault(HTTPFault)
    }

    private let allowsEmptyLine: Bool
    private var parser: RequestParser
    /// The head, once it is complete.
    package private(set) var head: RequestHead?
    private var chunks: ChunkedBody?
    private var hasSentContinue = false

    /// The body without its framing, if it came in chunks.
    package var chunkedContents: [UInt8]? { chunks?.contents }

    /// A request that nothing is known of; `allowsEmptyLine` is for the first behind another one.
    package init(allowsEmptyLine: Bool = true) {
        self.allowsEmptyLine = allowsEmptyLine
        parser = RequestParser(mayBeginEmpty: allowsEmptyLine)
    }

    /// Looks at the input, which begins where it began before.
    package mutating func examine(_ text: Span<UInt8>, _ limits: HTTPLimits) -> Step {
        do throws(HTTPFault) {
            if head == nil {
                guard !text.isEmpty else { return .nothing }
                if allowsEmptyLine, text.count == 2, text[0] == 0x0d, text[1] == 0x0a {
                    return .emptyLine
                }
                guard case .head(let found) = try parser.parse(text, limits: limits) else {
                    return .incomplete
                }
                head = found
                if found.framing == .chunked { chunks = ChunkedBody(from: found.length) }
            }
            guard let head else { return .incomplete }
            if let end = try bodyEnd(head, text, limits.bodyBytes) {
                return .complete(head, total: end)
            }
            if head.expectsContinue, !hasSentContinue, text.count == head.length {
                hasSentContinue = true
                return .wantsContinue
            }
            return .incomplete
        } catch {
            return .fault(error)
        }
    }

    /// Where the body ends, or nil while it is incomplete.
    private mutating func bodyEnd(
        _ head: RequestHead,
        _ text: Span<UInt8>,
        _ limit: Int
    ) throws(HTTPFault) -> Int? {
        switch head.framing {
        case .length(let count):
            guard count <= limit else {
                throw HTTPFault(
                    .contentTooLarge,
                    "the body has \(count) bytes; at most \(limit) are taken"
                )
            }
            return text.count - head.length >= count ? head.length + count : nil
        case .chunked:
            if let end = try chunks?.read(text, limit: limit) { return end }
            guard text.count - head.length <= limit else {
                throw HTTPFault(.contentTooLarge, "the body is larger than \(limit) bytes")
            }
            return nil
        }
    }
}
