// From YAML text to nodes, through libyaml's events.
//
// The text is bounded and plain: at most 256 KiB, 64 levels, one document; anchors, aliases, tags
// and merge keys are refused. libyaml has no depth limit of its own and takes quadratic time on
// nested text (100,000 brackets were measured at 45 s), so the depth is checked at every event and
// parsing stops there.
//
// libyaml gets the bytes and is drained inside one closure: no pointer outlives it.

import CYAML

/// Reads one YAML document.
package enum YAMLParser {
    /// Bytes of a text.
    package static let bytesMaximum = 256 * 1024
    /// Levels of mappings and lists inside each other.
    package static let depthMaximum = 64

    /// The document in a text.
    package static func parse(_ text: [UInt8]) throws(YAMLError) -> YAMLNode {
        guard text.count <= bytesMaximum else {
            throw YAMLError(
                Mark(line: 1, column: 1),
                "the file has \(text.count) bytes; at most \(bytesMaximum) are read"
            )
        }
        guard String(validating: text, as: UTF8.self) != nil, text.first != 0xfe, text.first != 0xff
        else {
            throw YAMLError(Mark(line: 1, column: 1), "the file is not UTF-8 text")
        }
        let result = unsafe text.withUnsafeBufferPointer { buffer in
            Result { () throws(YAMLError) -> YAMLNode in
                let empty: [UInt8] = [0x20]
                if buffer.isEmpty {
                    return try unsafe empty.withUnsafeBufferPointer { bytes in
                        Result { () throws(YAMLError) in try unsafe drain(bytes) }
                    }.get()
                }
                return try unsafe drain(buffer)
            }
        }
        return try result.get()
    }

    private static func drain(
        _ bytes: UnsafeBufferPointer<UInt8>
    ) throws(YAMLError) -> YAMLNode {
        var parser = unsafe yaml_parser_t()
        guard unsafe yaml_parser_initialize(&parser) == 1 else {
            throw YAMLError(Mark(line: 1, column: 1), "libyaml found no memory")
        }
        defer { unsafe yaml_parser_delete(&parser) }
        unsafe yaml_parser_set_input_string(&parser, bytes.baseAddress, bytes.count)
        var builder = Builder()
        while true {
            var event = unsafe yaml_event_t()
            guard unsafe yaml_parser_parse(&parser, &event) == 1 else {
                throw unsafe syntaxError(parser, bytes)
            }
            defer { unsafe yaml_event_delete(&event) }
            if unsafe event.type == YAML_STREAM_END_EVENT { break }
            try builder.take(unsafe plainEvent(event))
        }
        guard let root = builder.root else {
            throw YAMLError(Mark(line: 1, column: 1), "the file is empty")
        }
        return root
    }

    private static func mark(_ mark: yaml_mark_t) -> Mark {
        Mark(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }

    private static func syntaxError(
        _ parser: yaml_parser_t,
        _ bytes: UnsafeBufferPointer<UInt8>
    ) -> YAMLError {
        let problem = unsafe parser.problem.map { unsafe String(cString: $0) } ?? "unreadable text"
        let context = unsafe parser.context.map { unsafe "\(String(cString: $0)), " } ?? ""
        if unsafe parser.error == YAML_READER_ERROR {
            // The reader knows the byte, not the line.
            let before = unsafe bytes.prefix(parser.problem_offset)
            let line = unsafe before.count { $0 == 0x0a }
            let column = unsafe before.reversed().prefix { $0 != 0x0a }.count
            return YAMLError(Mark(line: line + 1, column: column + 1), "not YAML: \(problem)")
        }
        return unsafe YAMLError(mark(parser.problem_mark), "not YAML: \(context)\(problem)")
    }

    /// Copies what matters out of an event of libyaml.
    private static func plainEvent(_ event: yaml_event_t) -> Event {
        let place = unsafe mark(event.start_mark)
        switch unsafe event.type {
        case YAML_DOCUMENT_START_EVENT: return Event(place, .documentStart)
        case YAML_ALIAS_EVENT: return Event(place, .alias)
        case YAML_SCALAR_EVENT:
            let scalar = unsafe event.data.scalar
            let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            let text = unsafe String(decoding: bytes, as: UTF8.self)
            let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
            let marked = unsafe scalar.anchor != nil || scalar.tag != nil
            return Event(place, .scalar(text, isPlain: isPlain), isMarked: marked)
        case YAML_SEQUENCE_START_EVENT:
            let start = unsafe event.data.sequence_start
            let marked = unsafe start.anchor != nil || start.tag != nil
            return Event(place, .sequenceStart, isMarked: marked)
        case YAML_MAPPING_START_EVENT:
            let start = unsafe event.data.mapping_start
            let marked = unsafe start.anchor != nil || start.tag != nil
            return Event(place, .mappingStart, isMarked: marked)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return Event(place, .end)
        default: return Event(place, .other)
        }
    }
}

/// One event of the parser, without pointers.
private struct Event {
    enum Kind {
        case documentStart, alias, sequenceStart, mappingStart, end, other
        case scalar(String, isPlain: Bool)
    }

    let mark: Mark
    let kind: Kind
    let isMarked: Bool

    init(_ mark: Mark, _ kind: Kind, isMarked: Bool = false) {
        self.mark = mark
        self.kind = kind
        self.isMarked = isMarked
    }
}

/// Builds nodes from events, with a stack of its own.
private struct Builder {
    /// A mapping or list that is not complete yet.
    private struct Frame {
        let isMapping: Bool
        let mark: Mark
        var nodes: [YAMLNode] = []
        var pairs: [YAMLNode.Pair] = []
        var firstLines: [[UInt8]: Int] = [:]
        var key: (text: String, mark: Mark)?
    }

    var root: YAMLNode?
    private var documents = 0
    private var stack: [Frame] = []

    /// Whether the next scalar is a key.
    private var isKeyDue: Bool {
        guard let top = stack.last else { return false }
        return top.isMapping && top.key == nil
    }

    mutating func take(_ event: Event) throws(YAMLError) {
        if event.isMarked {
            throw YAMLError(
                event.mark,
                "anchors and tags are not read here",
                hint: "write the value itself"
            )
        }
        switch event.kind {
        case .documentStart:
            documents += 1
            if documents > 1 {
                throw YAMLError(event.mark, "a second document in one file")
            }
        case .alias:
            throw YAMLError(
                event.mark,
                "aliases are not read here",
                hint: "write the value again"
            )
        case .scalar(let text, let isPlain):
            if isKeyDue {
                try beginPair(text, event.mark)
            } else {
                add(YAMLNode(content: .scalar(text, isPlain: isPlain), mark: event.mark))
            }
        case .sequenceStart: try push(Frame(isMapping: false, mark: event.mark))
        case .mappingStart: try push(Frame(isMapping: true, mark: event.mark))
        case .end:
            guard let frame = stack.popLast() else { return }
            let content: YAMLNode.Content =
                frame.isMapping ? .mapping(frame.pairs) : .sequence(frame.nodes)
            add(YAMLNode(content: content, mark: frame.mark))
        case .other: break
        }
    }

    private mutating func push(_ frame: Frame) throws(YAMLError) {
        if isKeyDue {
            throw YAMLError(frame.mark, "a key must be plain text")
        }
        guard stack.count < YAMLParser.depthMaximum else {
            throw YAMLError(
                frame.mark,
                "more than \(YAMLParser.depthMaximum) mappings and lists inside each other"
            )
        }
        stack.append(frame)
    }

    private mutating func beginPair(_ key: String, _ mark: Mark) throws(YAMLError) {
        if key == "<<" {
            throw YAMLError(
                mark,
                "merge keys are not read here",
                hint: "write the keys that it stands for"
            )
        }
        let top = stack.count - 1
        if let first = stack[top].firstLines.updateValue(mark.line, forKey: Array(key.utf8)) {
            throw YAMLError(
                mark,
                "the key '\(key)' stands twice; first in line \(first)",
                hint: "remove one of them"
            )
        }
        stack[top].key = (key, mark)
    }

    private mutating func add(_ node: YAMLNode) {
        let top = stack.count - 1
        guard top >= 0 else {
            root = node
            return
        }
        if let key = stack[top].key {
            stack[top].pairs.append(
                YAMLNode.Pair(key: key.text, keyMark: key.mark, value: node)
            )
            stack[top].key = nil
        } else {
            stack[top].nodes.append(node)
        }
    }
}
