// More events of files than the kernel keeps for one who watches.

import Platform

/// Makes events faster than anybody needs them.
package enum EventFlood {
    /// Makes two files and changes them in turn, since the kernel keeps equal events once, until
    /// nobody's queue holds them all.
    package static func overflow(_ one: String, _ other: String) throws {
        let limit = try File.read(
            "/proc/sys/fs/inotify/max_queued_events",
            limit: 100,
            from: 0
        )
        let count = Int(String(decoding: limit.prefix { $0 != 0x0a }, as: UTF8.self)) ?? 16384
        for path in [one, other] { try File.writeNew(path, []) }
        for _ in 0...count / 2 {
            try File.setMode(one, 0o600)
            try File.setMode(other, 0o600)
        }
    }
}
