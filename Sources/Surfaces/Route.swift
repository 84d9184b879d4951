// From a path to what is meant by it.

import Bytes

/// What a client asks for.
package enum Route: Equatable, Sendable {
    /// `POST /v1/<endpoint>`; where the name stands in the text.
    case native(name: Range<Int>)
    /// `GET /health/live`
    case live
    /// `GET /health/ready`
    case ready
    /// Nothing that there is.
    case unknown

    private static let nativePrefix = Array("/v1/".utf8)
    private static let livePath = Array("/health/live".utf8)
    private static let readyPath = Array("/health/ready".utf8)

    /// Reads a path, which stands at `path` in `text`. A `/` at the end is passed over.
    package init(_ text: Span<UInt8>, path: Range<Int>) {
        var path = path
        while path.count > 1, text[path.upperBound - 1] == UInt8(ascii: "/") {
            path = path.lowerBound..<path.upperBound - 1
        }
        let prefix = Route.nativePrefix
        if path.count > prefix.count,
            Bytes.equal(text, path.lowerBound..<path.lowerBound + prefix.count, prefix)
        {
            let name = path.lowerBound + prefix.count..<path.upperBound
            for index in name where text[index] == UInt8(ascii: "/") {
                self = .unknown
                return
            }
            self = .native(name: name)
        } else if Bytes.equal(text, path, Route.livePath) {
            self = .live
        } else if Bytes.equal(text, path, Route.readyPath) {
            self = .ready
        } else {
            self = .unknown
        }
    }
}
