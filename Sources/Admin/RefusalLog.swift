// Who was not let in. Anybody can be refused as often as he likes, so refusals are counted, and
// have a file of their own beside the audit log: the first of a kind at once, then one line a
// minute.

import JSON
import Logging
import Platform
import Serving

/// Appends to `<logs>/admin-refused.jsonl`.
final class RefusalLog: Sendable {
    private struct Count {
        var number = 0
        var places: Set<String> = []
        var last: (place: String, request: String, sentence: String)?
        var since = ""
        var writtenAt: UInt64?
    }

    private let file: RotatingFile
    private let counts = Guarded<[AccessRefusal.Kind: Count]>([:])
    private static let pauseNanoseconds: UInt64 = 60_000_000_000
    private static let placesMaximum = 1000

    init(folder: String) {
        file = RotatingFile(
            folder: folder,
            name: "admin-refused",
            bytesMaximum: 1 << 20,
            filesKept: 4
        )
    }

    /// Counts a refusal of whoever is at this place.
    func note(_ refusal: AccessRefusal, _ place: String, request: String) {
        counts.withLock { counts in
            var count = counts[refusal.kind, default: Count()]
            count.number += 1
            if count.places.count < Self.placesMaximum { count.places.insert(place) }
            count.last = (place, request, refusal.detail ?? refusal.sentence)
            if count.since.isEmpty { count.since = Timestamp.text(.now()) }
            counts[refusal.kind] = count
        }
        flush()
    }

    /// Writes the lines that are due; all of them if `isLast`.
    func flush(isLast: Bool = false) {
        let now = MonotonicClock.now()
        let due = counts.withLock { counts in
            var due: [[UInt8]] = []
            for kind in AccessRefusal.Kind.allCases {
                guard let count = counts[kind], let last = count.last else { continue }
                let next = count.writtenAt.map { $0 + Self.pauseNanoseconds } ?? 0
                guard isLast || now >= next else { continue }
                due.append(Self.line(kind, count, last))
                counts[kind] = Count(writtenAt: now)
            }
            return due
        }
        for line in due { _ = file.append(line) }
    }

    private static func line(
        _ kind: AccessRefusal.Kind,
        _ count: Count,
        _ last: (place: String, request: String, sentence: String)
    ) -> [UInt8] {
        let value = JSONValue.object([
            .init("time", .string(Timestamp.text(.now()))),
            .init("since", .string(count.since)),
            .init("kind", .string(kind.rawValue)),
            .init("count", .number("\(count.number)")),
            .init("places", .number("\(count.places.count)")),
            .init("lastPlace", .string(last.place)),
            .init("lastRequest", .string(last.request)),
            .init("lastError", .string(last.sentence)),
        ])
        return Array("\(value.text)\n".utf8)
    }
}
