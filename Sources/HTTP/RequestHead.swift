/// The methods that some route has; every other one is `other`.
package enum Method: UInt8, Sendable {
    case get, head, post, put, delete, other
}

/// How long a request's body is.
package enum BodyFraming: Equatable, Sendable {
    /// So many bytes; 0 when the request says nothing of a body.
    case length(Int)
    /// In chunks that say their own lengths.
    case chunked
}

/// A place in the text of a head, small enough that a head is copied in a few instructions.
package struct TextPlace: Equatable, Sendable, BitwiseCopyable {
    private var start: UInt32 = 0
    private var end: UInt32 = 0

    /// Nowhere.
    package init() {}

    package init(_ range: Range<Int>) {
        start = UInt32(truncatingIfNeeded: range.lowerBound)
        end = UInt32(truncatingIfNeeded: range.upperBound)
    }

    /// Where it is; a place begins behind the method at least, so that 0 is nowhere.
    package var range: Range<Int>? { end == 0 ? nil : Int(start)..<Int(end) }
}

/// What the head of a request says, as places in the text that it was read from.
package struct RequestHead: Equatable, Sendable {
    /// The method.
    package var method: Method = .other
    /// Where the path stands, with its leading `/` and without the query.
    package var path: Range<Int> {
        get { pathPlace.range ?? 0..<0 }
        set { pathPlace = TextPlace(newValue) }
    }
    private var pathPlace = TextPlace()
    /// Where the host stands that the target names; nil: it names none, as is usual.
    package var authority: Range<Int>? {
        get { authorityPlace.range }
        set { authorityPlace = newValue.map { TextPlace($0) } ?? TextPlace() }
    }
    private var authorityPlace = TextPlace()
    /// Whether the path has a percent sign in it.
    package var pathHasEscapes = false
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    package var minorVersion = 1
    /// Whether the connection goes on after the answer.
    package var keepsAlive = true
    /// How long the body is.
    package var framing = BodyFraming.length(0)
    /// Whether the client waits for `100 Continue` before it sends the body.
    package var expectsContinue = false
    /// Where the value of `X-Request-Id` stands.
    package var requestID: Range<Int>? {
        get { requestIDPlace.range }
        set { requestIDPlace = newValue.map { TextPlace($0) } ?? TextPlace() }
    }
    private var requestIDPlace = TextPlace()
    /// Where the value of `X-Switchyard-Force-Backend` stands.
    package var forcedBackend: Range<Int>? {
        get { forcedBackendPlace.range }
        set { forcedBackendPlace = newValue.map { TextPlace($0) } ?? TextPlace() }
    }
    private var forcedBackendPlace = TextPlace()
    /// Nanoseconds that the client waits, from `X-Request-Timeout-Ms`.
    package var timeoutNanoseconds: UInt64?
    /// Bytes of the JSON at the beginning of the body, from `Inference-Header-Content-Length`.
    package var inferenceHeaderLength: Int? {
        get { inferenceLength == .max ? nil : Int(inferenceLength) }
        set { inferenceLength = newValue.map { UInt32(clamping: min($0, 1 << 31)) } ?? .max }
    }
    private var inferenceLength = UInt32.max
    /// Whether the body is coded in a way that would have to be undone, such as `gzip`.
    package var hasContentCoding = false
    /// Where the body begins.
    package var length = 0

    package init() {}
}
