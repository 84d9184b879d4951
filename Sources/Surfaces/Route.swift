// From a path to what is meant by it.

import Bytes

/// What a client asks for.
package enum Route: Equatable, Sendable {
    /// `POST /v1/<name>`, `/v1/<name>/<version>` or `/v1/<name>/<branch>/<version>`; where all that
    /// stands behind `/v1/`.
    case native(target: Range<Int>)
    /// `GET /health/live`
    case live
    /// `GET /health/ready`
    case ready
    /// `GET /health/ready/<name>`, with a version and a branch as behind `/v1/`; where all of that
    /// stands.
    case readyTarget(Range<Int>)
    /// Nothing that there is.
    case unknown

    private static let nativePrefix = Array("/v1/".utf8)
    private static let livePath = Array("/health/live".utf8)
    private static let readyPath = Array("/health/ready".utf8)

    /// Reads a path, which stands at `path` in `text`. A `/` at the end is passed over.
    package init(_ text: Span<UInt8>, path: Range<Int>) {
        var path = path
        if path.count > 1, text[path.upperBound - 1] == UInt8(ascii: "/") {
            path = path.lowerBound..<path.upperBound - 1
        }
        let prefix = Route.nativePrefix
        if path.count > prefix.count,
            Bytes.equal(text, path.lowerBound..<path.lowerBound + prefix.count, prefix)
        {
            let target = path.lowerBound + prefix.count..<path.upperBound
            self = Route.hasOneToThreeParts(text, target) ? .native(target: target) : .unknown
        } else if Bytes.equal(text, path, Route.livePath) {
            self = .live
        } else if Bytes.equal(text, path, Route.readyPath) {
            self = .ready
        } else if let target = Route.rest(text, path, behind: Route.readyPath) {
            self = Route.hasOneToThreeParts(text, target) ? .readyTarget(target) : .unknown
        } else {
            self = .unknown
        }
    }

    /// What stands behind a prefix and a slash.
    private static func rest(
        _ text: Span<UInt8>,
        _ path: Range<Int>,
        behind prefix: [UInt8]
    ) -> Range<Int>? {
        let end = path.lowerBound + prefix.count
        guard path.count > prefix.count, text[end] == UInt8(ascii: "/"),
            Bytes.equal(text, path.lowerBound..<end, prefix)
        else { return nil }
        return end + 1..<path.upperBound
    }

    private static func hasOneToThreeParts(_ text: Span<UInt8>, _ target: Range<Int>) -> Bool {
        var slashes = 0
        var partStart = target.lowerBound
        for index in target where text[index] == UInt8(ascii: "/") {
            if index == partStart { return false }
            slashes += 1
            partStart = index + 1
        }
        return slashes <= 2 && partStart < target.upperBound
    }

    /// Replaces the percent escapes of a path, once; false when one is malformed or stands for what
    /// no name holds: a slash, a control character, NUL.
    package static func decode(
        _ text: Span<UInt8>,
        _ path: Range<Int>,
        to decoded: inout [UInt8]
    ) -> Bool {
        decoded.removeAll(keepingCapacity: true)
        var index = path.lowerBound
        while index < path.upperBound {
            guard text[index] == UInt8(ascii: "%") else {
                decoded.append(text[index])
                index += 1
                continue
            }
            guard index + 2 < path.upperBound, let high = Hex.value(text[index + 1]),
                let low = Hex.value(text[index + 2])
            else { return false }
            let byte = high << 4 | low
            guard byte > 0x1f, byte != 0x7f, byte != UInt8(ascii: "/") else { return false }
            decoded.append(byte)
            index += 3
        }
        return true
    }
}
