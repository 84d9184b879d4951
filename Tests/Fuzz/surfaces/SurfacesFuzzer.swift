// Paths, and bodies of the Dataiku API node and of the native protocol.

import Bytes
import Endpoints
import FuzzSupport
import JSON
import Surfaces

/// Runs one input.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    SurfacesFuzzer.checkPath(input)
    SurfacesFuzzer.checkBody(input)
    return 0
}

private enum SurfacesFuzzer {
    /// Whatever a path means, its parts lie in it; one without doubled slashes means the same.
    static func checkPath(_ path: [UInt8]) {
        let route = Route(path.span, path: 0..<path.count)
        switch route {
        case .native(let target), .readyTarget(let target), .dataiku(_, let target):
            require(target, path)
        case .openInference(_, let model, let version):
            require(model, path)
            if let version { require(version, path) }
        case .live, .ready, .description, .isAlive, .unknown: break
        }
        var plain: [UInt8] = []
        if Route.collapse(path.span, 0..<path.count, to: &plain) {
            Property.require(plain.count < path.count, "slashes are taken out")
            var again: [UInt8] = []
            let isPlain = !Route.collapse(plain.span, 0..<plain.count, to: &again)
            Property.require(isPlain, "all of them")
        }
        var decoded: [UInt8] = []
        if Route.decode(path.span, 0..<path.count, to: &decoded) {
            Property.require(decoded.count <= path.count, "escapes are longer")
        }
    }

    private static func require(_ part: Range<Int>, _ path: [UInt8]) {
        Property.require(
            part.lowerBound >= 0 && part.upperBound <= path.count,
            "a part lies inside"
        )
    }

    static func checkBody(_ body: [UInt8]) {
        var document = JSONDocument()
        guard (try? document.parse(body.span)) != nil else { return }
        var limits = CallLimits()
        (limits.rows, limits.arguments) = (50, 8)
        for isMulti in [false, true] {
            var call = PredictionCall()
            do throws(Failure) {
                try DataikuSurface.decode(
                    document,
                    in: body.span,
                    isMulti: isMulti,
                    limits: limits,
                    to: &call
                )
            } catch {
                Property.require(!error.sentence.isEmpty, "a failure is a sentence")
                continue
            }
            Property.require(call.isBatch == isMulti && call.rows.count <= 50, "the rows")
            for row in call.rows {
                Property.require(row.arguments.count == 1, "a row has its features")
                let features = call.arguments[row.arguments.lowerBound]
                Property.require(document.entries[features].kind == .object, "an object")
            }
            if let forced = call.forced {
                Property.require(document.entries[forced].kind == .string, "a name")
            }
        }
        var call = PredictionCall()
        do throws(Failure) {
            try NativeSurface.decode(document, in: body.span, limits: limits, to: &call)
            Property.require(!call.rows.isEmpty, "there is a row")
        } catch {
            Property.require(!error.sentence.isEmpty, "a failure is a sentence")
        }
    }
}
