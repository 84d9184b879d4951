// From bytes to a request head, to the letter of RFC 9112.
//
// Two readers of one message that disagree about where it ends are how requests are smuggled, so
// everything ambiguous is refused: a bare LF, a folded line, a space before the colon, a length
// that stands twice, a length beside chunks. Pure: bytes in, ranges out, nothing kept but how far
// the search for the end of the head has come.

import Bytes

/// Finds and reads the head of one request.
package struct RequestParser: Sendable {
    /// What reading came to.
    package enum Outcome: Equatable, Sendable {
        /// The head is not complete yet.
        case incomplete
        /// The head is complete.
        case head(RequestHead)
    }

    private var scanned = 0
    private var lineStart = 0
    private var lines = 0
    private var skipped = 0
    private let mayBeginEmpty: Bool

    /// - Parameter mayBeginEmpty: whether one empty line before the request is passed over.
    package init(mayBeginEmpty: Bool = true) { self.mayBeginEmpty = mayBeginEmpty }

    /// Reads the head at the front of `text`, which holds all that was received of it so far.
    package mutating func parse(
        _ text: Span<UInt8>,
        limits: HTTPLimits
    ) throws(HTTPFault) -> Outcome {
        // A method's letters, as a rule.
        if scanned < 5, !text.isEmpty, text[0] < 0x20 {
            guard try ForeignProtocol.isDecided(text) else { return .incomplete }
        }
        guard let end = try findEnd(text, limits) else { return .incomplete }
        var reader = HeadReader(position: skipped, end: end)
        do throws(HTTPFault) {
            return .head(try reader.read(text))
        } catch {
            throw ForeignProtocol.beginning(text)?.refusal ?? error
        }
    }

    /// Finds the end of the empty line that ends the head, and refuses what can never become one.
    private mutating func findEnd(
        _ text: Span<UInt8>,
        _ limits: HTTPLimits
    ) throws(HTTPFault) -> Int? {
        while scanned < text.count {
            let found = Bytes.firstControl(in: text, from: scanned)
            // Of the header fields the end of the line counts too, as far as it is there.
            let isEnd = found < text.count && text[found] == 0x0d
            try checkLength(found, headerEnd: isEnd ? found + 1 : found, limits)
            guard found < text.count else {
                scanned = found
                return nil
            }
            switch text[found] {
            case 0x0d:
                // What follows it decides; it may not be there yet.
                guard found + 1 < text.count else {
                    scanned = found
                    return nil
                }
                guard text[found + 1] == 0x0a else {
                    throw HTTPFault(.badRequest, "the request's head has CR without LF")
                }
                scanned = found + 2
                if try endLine(isEmpty: found == lineStart, limits) { return scanned }
            case 0x0a:
                throw HTTPFault(
                    .badRequest,
                    "a line of the request's head ends with LF without CR"
                )
            default:
                scanned = found + 1  // whether it may stand there, its line's reader says
            }
        }
        return nil
    }

    /// Notes the end of a line; true: it was the head's last.
    private mutating func endLine(isEmpty: Bool, _ limits: HTTPLimits) throws(HTTPFault) -> Bool {
        if isEmpty, lines > 0 { return true }
        if isEmpty {
            guard skipped == 0, mayBeginEmpty else {
                throw HTTPFault(.badRequest, "the request begins with more than one empty line")
            }
            // RFC 9112 2.2: an empty line before the request line is ignored.
            skipped = scanned
        } else {
            lines += 1
        }
        lineStart = scanned
        if lines > limits.headerCount + 1 {
            throw HTTPFault(
                .headerFieldsTooLarge,
                "the request has more than \(limits.headerCount) header fields"
            )
        }
        if lines == 1, !isEmpty { headerStart = scanned }
        return false
    }

    /// Refuses a head that is too long already; it reaches up to `end`.
    private func checkLength(
        _ end: Int,
        headerEnd: Int,
        _ limits: HTTPLimits
    ) throws(HTTPFault) {
        if lines == 0, end - skipped > limits.requestLineBytes {
            throw HTTPFault(
                .uriTooLong,
                "the request line is longer than \(limits.requestLineBytes) bytes"
            )
        }
        if lines > 0, headerEnd - headerStart > limits.headerBytes {
            throw HTTPFault(
                .headerFieldsTooLarge,
                "the header fields are longer than \(limits.headerBytes) bytes"
            )
        }
    }

    private var headerStart = 0
}

/// Reads a complete head, line by line.
private struct HeadReader {
    var position: Int
    let end: Int
    var head = RequestHead()
    var hosts = 0
    var lengths = 0
    var encodings = 0
    var saysClose = false
    var saysKeepAlive = false

    init(position: Int, end: Int) {
        self.position = position
        self.end = end
    }

    mutating func read(_ text: Span<UInt8>) throws(HTTPFault) -> RequestHead {
        try readRequestLine(text)
        // The last two bytes are the empty line.
        while position < end - 2 {
            try readField(text)
        }
        guard hosts == 1 || hosts == 0 && head.minorVersion == 0 else {
            throw HTTPFault(
                .badRequest,
                hosts == 0 ? "the request has no Host field" : "the request has two Host fields"
            )
        }
        if encodings > 0, lengths > 0 {
            throw HTTPFault(
                .badRequest,
                "the request has both Content-Length and Transfer-Encoding"
            )
        }
        if encodings > 0, head.minorVersion == 0 {
            throw HTTPFault(.badRequest, "an HTTP/1.0 request has Transfer-Encoding")
        }
        if head.minorVersion == 0 { head.expectsContinue = false }
        head.keepsAlive = !saysClose && (head.minorVersion == 1 || saysKeepAlive)
        head.length = end
        return head
    }

    private mutating func readRequestLine(_ text: Span<UInt8>) throws(HTTPFault) {
        let start = position
        while Field.isTokenByte(text[position]) { position += 1 }
        guard position > start, text[position] == 0x20 else {
            throw HTTPFault(
                .badRequest,
                "the request line does not begin with a method and a space"
            )
        }
        head.method = method(text, start..<position)
        position += 1
        try readTarget(text)
        guard text[position] == UInt8(ascii: "H"), text[position + 1] == UInt8(ascii: "T"),
            text[position + 2] == UInt8(ascii: "T"), text[position + 3] == UInt8(ascii: "P"),
            text[position + 4] == UInt8(ascii: "/")
        else { throw badVersion }
        position += 5
        guard isDigit(text[position]), text[position + 1] == UInt8(ascii: "."),
            isDigit(text[position + 2]), text[position + 3] == 0x0d
        else { throw badVersion }
        guard text[position] == UInt8(ascii: "1") else {
            throw HTTPFault(.versionNotSupported, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        head.minorVersion = text[position + 2] == UInt8(ascii: "0") ? 0 : 1
        position += 5
    }

    private var badVersion: HTTPFault {
        HTTPFault(.badRequest, "the request line does not end with a space and an HTTP version")
    }

    private mutating func readTarget(_ text: Span<UInt8>) throws(HTTPFault) {
        var start = position
        while text[position] > 0x20, text[position] < 0x7f { position += 1 }
        guard position > start, text[position] == 0x20 else {
            throw HTTPFault(
                .badRequest,
                "the request's target is empty or has a character that must be encoded"
            )
        }
        let isAbsolute =
            text[start] != UInt8(ascii: "/") && position >= start + 7
            && Bytes.equalIgnoringCase(text, start..<start + 7, "http://")
        if isAbsolute {
            // The absolute form, which a proxy uses: what counts is the path behind the authority.
            start += 7
            let authority = start
            while start < position, text[start] != UInt8(ascii: "/"),
                text[start] != UInt8(ascii: "?")
            {
                start += 1
            }
            guard start > authority else {
                throw HTTPFault(.badRequest, "the request's target has no host")
            }
            guard Authority.isValid(text, authority..<start) else {
                throw HTTPFault(
                    .badRequest,
                    "the request's target has no host with an optional port behind '//'; a user "
                        + "name does not belong there"
                )
            }
            head.authority = authority..<start
        }
        var pathEnd = start
        while pathEnd < position, text[pathEnd] != UInt8(ascii: "?") {
            if text[pathEnd] == UInt8(ascii: "%") { head.pathHasEscapes = true }
            guard text[pathEnd] != UInt8(ascii: "#") else { throw Self.fragment }
            pathEnd += 1
        }
        var query = pathEnd
        while query < position {
            guard text[query] != UInt8(ascii: "#") else { throw Self.fragment }
            query += 1
        }
        head.path = start..<pathEnd
        // The absolute form may end with the authority: then the path is the root's.
        if head.path.isEmpty, isAbsolute {
            position += 1
            return
        }
        guard !head.path.isEmpty,
            text[start] == UInt8(ascii: "/") || text[start] == UInt8(ascii: "*")
        else {
            throw HTTPFault(.badRequest, "the request's target does not begin with '/'")
        }
        position += 1
    }

    private static let fragment = HTTPFault(
        .badRequest,
        "the request's target has a '#': what stands behind it is never sent; write it as %23"
    )

    private mutating func readField(_ text: Span<UInt8>) throws(HTTPFault) {
        let start = position
        guard text[position] != 0x20, text[position] != 0x09 else {
            throw HTTPFault(.badRequest, "a header field is folded over two lines")
        }
        while Field.isTokenByte(text[position]) { position += 1 }
        let name = start..<position
        guard !name.isEmpty, text[position] == UInt8(ascii: ":") else {
            throw HTTPFault(
                .badRequest,
                "a header field has no name, a bad name, or a space before its colon"
            )
        }
        position += 1
        while text[position] == 0x20 || text[position] == 0x09 { position += 1 }
        let valueStart = position
        position = Bytes.firstControl(in: text, from: position)
        while text[position] == 0x09 {
            position = Bytes.firstControl(in: text, from: position + 1)
        }
        guard text[position] == 0x0d else {
            throw HTTPFault(.badRequest, "a header field has a control character in its value")
        }
        var valueEnd = position
        while valueEnd > valueStart, text[valueEnd - 1] == 0x20 || text[valueEnd - 1] == 0x09 {
            valueEnd -= 1
        }
        position += 2
        try take(text, name, valueStart..<valueEnd)
    }

    private mutating func take(
        _ text: Span<UInt8>,
        _ name: Range<Int>,
        _ value: Range<Int>
    ) throws(HTTPFault) {
        switch name.count {
        case 4 where matches(text, name, "host"):
            hosts += 1
            // RFC 9112 3.2: a client that has no host to name sends an empty value.
            guard value.isEmpty || Authority.isValid(text, value) else {
                throw HTTPFault(
                    .badRequest,
                    "the Host field is no host with an optional port: a name, an address, or an "
                        + "IPv6 address in brackets"
                )
            }
        case 6 where matches(text, name, "expect"):
            guard matches(text, value, "100-continue") else {
                throw HTTPFault(.expectationFailed, "only the expectation 100-continue can be met")
            }
            head.expectsContinue = true
        case 10 where matches(text, name, "connection"):
            takeConnection(text, value)
        case 12 where matches(text, name, "x-request-id"):
            if !value.isEmpty, value.count <= 128 { head.requestID = value }
        case 14 where matches(text, name, "content-length"):
            try takeLength(text, value)
        case 16 where matches(text, name, "content-encoding"):
            if !value.isEmpty, !matches(text, value, "identity") { head.hasContentCoding = true }
        case 17 where matches(text, name, "transfer-encoding"):
            encodings += 1
            guard encodings == 1, matches(text, value, "chunked") else {
                throw HTTPFault(
                    .notImplemented,
                    "only the transfer coding 'chunked' is spoken here"
                )
            }
            head.framing = .chunked
        case 20 where matches(text, name, "x-request-timeout-ms"):
            try takeTimeout(text, value)
        case 31 where matches(text, name, "inference-header-content-length"):
            guard head.inferenceHeaderLength == nil else {
                throw HTTPFault(.badRequest, "Inference-Header-Content-Length stands twice")
            }
            head.inferenceHeaderLength = try number(text, value, "Inference-Header-Content-Length")
        case 26 where matches(text, name, "x-switchyard-force-backend"):
            guard head.forcedBackend == nil else {
                throw HTTPFault(.badRequest, "X-Switchyard-Force-Backend stands twice")
            }
            head.forcedBackend = value
        default:
            break
        }
    }

    private mutating func takeLength(_ text: Span<UInt8>, _ value: Range<Int>) throws(HTTPFault) {
        lengths += 1
        guard lengths == 1 else {
            throw HTTPFault(.badRequest, "the request has two Content-Length fields")
        }
        head.framing = .length(try number(text, value, "Content-Length"))
    }

    /// A number of bytes that a field gives.
    private func number(
        _ text: Span<UInt8>,
        _ value: Range<Int>,
        _ field: StaticString
    ) throws(HTTPFault) -> Int {
        var number = 0
        guard !value.isEmpty else {
            throw HTTPFault(.badRequest, "\(field) is not a number of bytes")
        }
        for index in value {
            guard isDigit(text[index]) else {
                throw HTTPFault(.badRequest, "\(field) is not a number of bytes")
            }
            let (product, overflow) = number.multipliedReportingOverflow(by: 10)
            guard !overflow, product <= Int.max - 9 else {
                throw HTTPFault(.contentTooLarge, "\(field) is beyond any body")
            }
            number = product + Int(text[index] - 48)
        }
        return number
    }

    private mutating func takeTimeout(_ text: Span<UInt8>, _ value: Range<Int>) throws(HTTPFault) {
        guard head.timeoutNanoseconds == nil else {
            throw HTTPFault(.badRequest, "X-Request-Timeout-Ms stands twice")
        }
        var number: UInt64 = 0
        // Beyond twelve digits nobody waits: that is thirty years.
        for index in value where isDigit(text[index]) && number < 100_000_000_000 {
            number = number * 10 + UInt64(text[index] - 48)
        }
        guard number > 0, value.allSatisfy({ isDigit(text[$0]) }) else {
            throw HTTPFault(
                .badRequest,
                "X-Request-Timeout-Ms is no whole number of milliseconds above 0"
            )
        }
        head.timeoutNanoseconds = number * 1_000_000
    }

    private mutating func takeConnection(_ text: Span<UInt8>, _ value: Range<Int>) {
        var start = value.lowerBound
        while start < value.upperBound {
            var end = start
            while end < value.upperBound, text[end] != UInt8(ascii: ",") { end += 1 }
            var option = start..<end
            while let first = option.first, text[first] == 0x20 || text[first] == 0x09 {
                option = first + 1..<option.upperBound
            }
            while let last = option.last, text[last] == 0x20 || text[last] == 0x09 {
                option = option.lowerBound..<last
            }
            if matches(text, option, "close") { saysClose = true }
            if matches(text, option, "keep-alive") { saysKeepAlive = true }
            start = end + 1
        }
    }

    private func method(_ text: Span<UInt8>, _ range: Range<Int>) -> Method {
        // The case of a method's letters counts.
        for index in range where text[index] &- 65 >= 26 { return .other }
        if matches(text, range, "post") { return .post }
        if matches(text, range, "get") { return .get }
        if matches(text, range, "head") { return .head }
        if matches(text, range, "put") { return .put }
        if matches(text, range, "delete") { return .delete }
        return .other
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

    /// Whether a part of the text is this word, whatever the case of its letters.
    private func matches(_ text: Span<UInt8>, _ range: Range<Int>, _ word: StaticString) -> Bool {
        Bytes.equalIgnoringCase(text, range, word)
    }
}

/// The characters of header and trailer fields.
enum Field {
    /// Whether a byte may stand in a method or a field name (RFC 9110 5.6.2).
    @inline(__always)
    static func isTokenByte(_ byte: UInt8) -> Bool {
        // A bit for each character: 0-9 and !#$%&'*+-. below U+0040; A-Z, a-z and ^_`|~ above.
        let words: (UInt64, UInt64) = (0x03ff_6cfa_0000_0000, 0x57ff_ffff_c7ff_fffe)
        let word = byte < 64 ? words.0 : words.1
        return byte < 128 && word >> UInt64(byte & 63) & 1 == 1
    }

    /// Whether a byte may stand in a field's value (RFC 9110 5.5).
    @inline(__always)
    static func isValueByte(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7f || byte == 0x09 }
}
