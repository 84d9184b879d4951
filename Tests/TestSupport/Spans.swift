// Arrays where the host takes spans: an expectation cannot hold an expression with a span in it.

package import Platform

extension LogRing {
    /// Appends one record.
    package func append(_ payload: [UInt8], key: UInt64) -> Bool {
        append(payload.span, key: key)
    }
}

extension Slot {
    /// Copies bytes behind the committed output.
    package func stageOutput(_ bytes: [UInt8], at offset: Int) {
        stageOutput(bytes.span, at: offset)
    }
}
