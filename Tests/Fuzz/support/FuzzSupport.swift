// What the fuzzers share: how a property is claimed, and how choices are drawn from the input.

/// What has to hold for every input.
package enum Property {
    /// Stops the process with a sentence unless it holds; libFuzzer then keeps the input.
    package static func require(
        _ holds: Bool,
        _ sentence: @autoclosure () -> String,
        file: StaticString = #fileID,
        line: UInt = #line
    ) {
        if !holds { fatalError(sentence(), file: file, line: line) }
    }
}

/// Takes choices from the front of an input; past its end everything is zero.
package struct Choices {
    /// What was not taken yet.
    package private(set) var rest: ArraySlice<UInt8>

    package init(_ input: [UInt8]) {
        rest = input[...]
    }

    /// The next byte.
    package mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// The next 8 bytes, as a little-endian number.
    package mutating func number() -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(byte()) << UInt64(8 * $1) }
    }

    /// The next bytes, as many as there are but at most `count`.
    package mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}
