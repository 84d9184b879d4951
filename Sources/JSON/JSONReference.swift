// A value of a document as the next floor up needs it: no entry, no document, only text and kind.

/// What an input of a model is, once it has been checked against its declaration.
@frozen
public enum JSONReferenceKind: UInt32, Sendable {
    /// An optional input that the request does not have.
    case absent = 0
    case null = 1
    /// `isTrue` says which.
    case boolean = 2
    case number = 3
    /// The range covers the text between the quotes.
    case string = 4
    /// An array, an object, or any undeclared argument: the range covers its JSON text.
    case json = 5
}

/// A value by its place in the text that it stands in.
@frozen
public struct JSONReference: Sendable, BitwiseCopyable {
    /// What it is.
    public let kind: JSONReferenceKind
    /// Whether a string contains an escape; whether a boolean is true.
    public let flag: Bool
    /// Where its text stands.
    public let start: Int
    /// Where its text ends.
    public let end: Int

    /// A reference to the text from `start` to `end`.
    @inlinable
    public init(kind: JSONReferenceKind, flag: Bool, start: Int, end: Int) {
        self.kind = kind
        self.flag = flag
        self.start = start
        self.end = end
    }

    /// The same in a text that has so many bytes more before it.
    @inlinable
    public func moved(by bytes: Int) -> JSONReference {
        JSONReference(kind: kind, flag: flag, start: start + bytes, end: end + bytes)
    }

    /// A reference to nothing.
    public static let absent = JSONReference(kind: .absent, flag: false, start: 0, end: 0)
}
