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
    /// `GET /openapi.json`
    case description
    /// `/public/api/v1/<service>/<endpoint>/<verb>`; where service and endpoint stand.
    case dataiku(DataikuVerb, target: Range<Int>)
    /// `GET /isAlive`
    case isAlive
    /// `/v2…`; where the model's name stands, and its version if there is one.
    case openInference(OpenInferenceVerb, model: Range<Int>, version: Range<Int>?)
    /// Nothing that there is; which protocol's paths it looks like.
    case unknown(Surface)

    /// What is asked of a service's endpoint.
    package enum DataikuVerb: Equatable, Sendable { case predict, predictMulti, other }

    /// What is asked of an Open Inference server, or of one of its models.
    package enum OpenInferenceVerb: Equatable, Sendable {
        case server, live, ready, index, statistics
        case model, modelReady, configuration, modelStatistics, infer
        /// Loading and unloading: admins do that.
        case control
    }

    private static let nativePrefix = Array("/v1/".utf8)
    private static let livePath = Array("/health/live".utf8)
    private static let readyPath = Array("/health/ready".utf8)
    private static let others: [(path: [UInt8], route: Route)] = [
        (Array("/openapi.json".utf8), .description), (Array("/isAlive".utf8), .isAlive),
        (Array("/v2".utf8), .openInference(.server, model: 0..<0, version: nil)),
        (Array("/v2/health/live".utf8), .openInference(.live, model: 0..<0, version: nil)),
        (Array("/v2/health/ready".utf8), .openInference(.ready, model: 0..<0, version: nil)),
        (Array("/v2/models/stats".utf8), .openInference(.statistics, model: 0..<0, version: nil)),
        (Array("/v2/repository/index".utf8), .openInference(.index, model: 0..<0, version: nil)),
    ]
    private static let servicesPath = Array("/public/api/v1".utf8)
    private static let modelsPath = Array("/v2/models".utf8)
    private static let repositoryPath = Array("/v2/repository/models".utf8)

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
            self =
                Route.hasOneToThreeParts(text, target) ? .native(target: target) : .unknown(.native)
        } else if Bytes.equal(text, path, Route.livePath) {
            self = .live
        } else if Bytes.equal(text, path, Route.readyPath) {
            self = .ready
        } else if let target = Route.rest(text, path, behind: Route.readyPath) {
            self =
                Route.hasOneToThreeParts(text, target) ? .readyTarget(target) : .unknown(.native)
        } else {
            self = Route.other(text, path)
        }
    }

    /// The paths of protocols that are not the native one.
    private static func other(_ text: Span<UInt8>, _ path: Range<Int>) -> Route {
        if let known = others.first(where: { Bytes.equal(text, path, $0.path) }) {
            return known.route
        }
        if let rest = rest(text, path, behind: servicesPath) { return service(text, rest) }
        if let rest = rest(text, path, behind: modelsPath) { return model(text, rest) }
        if let rest = rest(text, path, behind: repositoryPath) {
            let parts = parts(text, rest)
            let isControl =
                parts.count == 2
                && (Bytes.equal(text, parts[1], "load") || Bytes.equal(text, parts[1], "unload"))
            return isControl
                ? .openInference(.control, model: parts[0], version: nil)
                : .unknown(.openInference)
        }
        return .unknown(surface(text, path))
    }

    /// Which protocol a path looks like.
    package static func surface(_ text: Span<UInt8>, _ path: Range<Int>) -> Surface {
        var start = path.lowerBound
        while start < path.upperBound, text[start] == UInt8(ascii: "/") { start += 1 }
        let first = parts(text, start..<path.upperBound).first ?? 0..<0
        if Bytes.equal(text, first, "v2") { return .openInference }
        let isDataiku =
            Bytes.equal(text, first, "public") || Bytes.equal(text, first, "admin")
            || Bytes.equal(text, first, "isAlive")
        return isDataiku ? .dataiku : .native
    }

    private static func service(_ text: Span<UInt8>, _ rest: Range<Int>) -> Route {
        let parts = parts(text, rest)
        guard parts.count == 3 else { return .unknown(.dataiku) }
        let target = parts[0].lowerBound..<parts[1].upperBound
        if Bytes.equal(text, parts[2], "predict") { return .dataiku(.predict, target: target) }
        if Bytes.equal(text, parts[2], "predict-multi") {
            return .dataiku(.predictMulti, target: target)
        }
        return .dataiku(.other, target: target)
    }

    private static func model(_ text: Span<UInt8>, _ rest: Range<Int>) -> Route {
        var rest = rest
        guard let model = nextPart(text, &rest), !model.isEmpty else {
            return .unknown(.openInference)
        }
        var version: Range<Int>?
        var word = nextPart(text, &rest)
        if let first = word, Bytes.equal(text, first, "versions") {
            guard let found = nextPart(text, &rest) else { return .unknown(.openInference) }
            version = found
            word = nextPart(text, &rest)
        }
        guard rest.isEmpty else { return .unknown(.openInference) }
        guard let word else { return .openInference(.model, model: model, version: version) }
        let verb: OpenInferenceVerb
        if Bytes.equal(text, word, "infer") {
            verb = .infer
        } else if Bytes.equal(text, word, "ready") {
            verb = .modelReady
        } else if Bytes.equal(text, word, "config") {
            verb = .configuration
        } else if Bytes.equal(text, word, "stats") {
            verb = .modelStatistics
        } else {
            return .unknown(.openInference)
        }
        return .openInference(verb, model: model, version: version)
    }

    /// What stands before the next slash, or before the end; nil when nothing is left.
    private static func nextPart(_ text: Span<UInt8>, _ rest: inout Range<Int>) -> Range<Int>? {
        if rest.isEmpty { return nil }
        var end = rest.lowerBound
        while end < rest.upperBound, text[end] != UInt8(ascii: "/") { end += 1 }
        let part = rest.lowerBound..<end
        rest = min(end + 1, rest.upperBound)..<rest.upperBound
        return part
    }

    /// What stands between slashes.
    private static func parts(_ text: Span<UInt8>, _ path: Range<Int>) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var start = path.lowerBound
        for index in path where text[index] == UInt8(ascii: "/") {
            parts.append(start..<index)
            start = index + 1
        }
        parts.append(start..<path.upperBound)
        return parts
    }

    /// Takes slashes out of a path that follow another one; false when there are none.
    package static func collapse(
        _ text: Span<UInt8>,
        _ path: Range<Int>,
        to collapsed: inout [UInt8]
    ) -> Bool {
        var result: [UInt8] = []
        for index in path {
            let isRepeated = text[index] == UInt8(ascii: "/") && result.last == text[index]
            if !isRepeated { result.append(text[index]) }
        }
        guard result.count < path.count else { return false }
        collapsed = result
        return true
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
