import CAllocationCount

/// What a build is watched by.
package enum Sanitizers {
    /// Whether ThreadSanitizer watches: its own files do not fit under a small limit of files.
    package static var watchThreads: Bool { is_thread_sanitized() }
    /// Whether any sanitizer watches: each keeps memory of its own.
    package static var watch: Bool { allocation_count() < 0 }
}

/// Counts heap allocations of the calling thread, those of plugins that it calls included.
package enum AllocationCount {
    /// Runs `body` a few times to let it warm up, then `calls` times; how many allocations those
    /// made.
    ///
    /// Nil where allocations cannot be counted (under a sanitizer).
    package static func during(calls: Int, _ body: () throws -> Void) rethrows -> Int? {
        for _ in 0..<10 { try body() }
        let before = allocation_count()
        guard before >= 0 else { return nil }
        for _ in 0..<calls { try body() }
        return Int(allocation_count() - before)
    }
}
