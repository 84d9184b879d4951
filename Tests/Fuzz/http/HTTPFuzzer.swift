// Requests in any pieces: the first two bytes of an input choose the limits and the pieces, the
// rest is what a client sends.
//
// However the bytes arrive, the same head, the same body or the same fault has to come of them: a
// difference between one piece and many is how requests are smuggled.

import FuzzSupport
import HTTP

/// Runs one input.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    HTTPFuzzer.run(input)
    return 0
}

private enum HTTPFuzzer {
    /// What reading one request came to.
    private struct Reading: Equatable {
        var head: RequestHead?
        var bodyEnd: Int?
        var contents: [UInt8] = []
        var fault: HTTPFault?
    }

    static func run(_ input: [UInt8]) {
        var choices = Choices(input)
        var limits = HTTPLimits()
        if choices.byte() & 1 == 1 {
            limits.requestLineBytes = 64
            limits.headerBytes = 256
            limits.headerCount = 4
            limits.bodyBytes = 128
        }
        var seed = UInt64(choices.byte())
        let text = Array(choices.rest)
        let whole = read(text, limits) { text.count }
        let single = read(text, limits) { 1 }
        Property.require(single == whole, "byte by byte: \(single), whole: \(whole)")
        let pieces = read(text, limits) {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33) % 61 + 1
        }
        Property.require(pieces == whole, "in pieces: \(pieces), whole: \(whole)")
        if let head = whole.head { check(head, text, limits) }
        if let head = whole.head, let end = whole.bodyEnd {
            Property.require(end > head.length && end <= text.count, "the body ends inside")
            // Each chunk has at least its size and two line ends, the last one is `0`, twice ended.
            Property.require(
                whole.contents.count <= max(0, end - head.length - 5),
                "chunks hold no more than the wire"
            )
        }
    }

    /// Reads one request from a text that grows by what `piece` says.
    private static func read(
        _ text: [UInt8],
        _ limits: HTTPLimits,
        piece: () -> Int
    ) -> Reading {
        var reading = Reading()
        var parser = RequestParser()
        var chunks: ChunkedBody?
        var received = 0
        repeat {
            received = min(text.count, received + piece())
            let arrived = text.span.extracting(first: received)
            do throws(HTTPFault) {
                if reading.head == nil,
                    case .head(let head) = try parser.parse(arrived, limits: limits)
                {
                    reading.head = head
                    if head.framing == .chunked { chunks = ChunkedBody(from: head.length) }
                }
                if let end = try chunks?.read(arrived, limit: limits.bodyBytes) {
                    reading.bodyEnd = end
                }
            } catch {
                reading.fault = error
            }
            reading.contents = chunks?.contents ?? []
            let isDone =
                reading.fault != nil || reading.bodyEnd != nil
                || reading.head != nil && chunks == nil
            if isDone { break }
        } while received < text.count
        return reading
    }

    private static func check(_ head: RequestHead, _ text: [UInt8], _ limits: HTTPLimits) {
        Property.require(head.length <= text.count, "a head ends inside the text")
        let own = Array(text[..<head.length])
        Property.require(own.suffix(4) == [13, 10, 13, 10], "a head ends with an empty line")
        Property.require(head.path.upperBound <= head.length, "the path lies in the head")
        for byte in own[head.path] {
            Property.require(byte > 0x20 && byte < 0x7f && byte != 63, "the path is printable")
        }
        for value in [head.requestID, head.forcedBackend].compactMap({ $0 }) {
            Property.require(value.upperBound <= head.length - 2, "a value lies in the head")
            for byte in own[value] {
                Property.require(
                    byte >= 0x20 && byte != 0x7f || byte == 9,
                    "a value is on its line"
                )
            }
        }
        if case .length(let count) = head.framing {
            Property.require(count >= 0, "a length is not negative")
        }
        // What stands behind the head says nothing about it.
        var parser = RequestParser()
        let alone = try? parser.parse(own.span, limits: limits)
        Property.require(
            alone == .head(head),
            "the head alone is read as \(String(describing: alone))"
        )
    }
}
