// JSON texts: an input is a text that a client sends, and bytes that somebody writes as a string.

import Bytes
import Endpoints
import FuzzSupport
import JSON

/// Runs one input.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    JSONFuzzer.checkWrittenString(input)
    JSONFuzzer.checkText(input)
    return 0
}

private enum JSONFuzzer {
    /// Whatever the bytes are, they are written as one JSON string, and UTF-8 comes back whole.
    static func checkWrittenString(_ input: [UInt8]) {
        var text: [UInt8] = []
        text.append(jsonString: input.span)
        guard let document = parse(text), document.entries.count == 1 else {
            fatalError("a written string is not one JSON string")
        }
        let back = JSONText.unescaped(text.span.extracting(document.entries[0].contents))
        if String(validating: input, as: UTF8.self) != nil {
            Property.require(back == input, "a string comes back as it was written")
        }
    }

    static func checkText(_ input: [UInt8]) {
        guard let document = parse(input) else {
            Property.require((try? JSONValue(parsing: input)) == nil, "both readers refuse")
            return
        }
        checkNesting(document, input)
        for (index, entry) in document.entries.enumerated() {
            checkValue(entry, input)
            if entry.kind == .object, entry.next < index + 64 {
                checkMembers(document, index, input)
            }
        }
        guard let value = try? JSONValue(parsing: input) else { fatalError("both readers accept") }
        var text: [UInt8] = []
        value.write(to: &text)
        guard let again = try? JSONValue(parsing: text) else {
            fatalError("a written value is JSON")
        }
        Property.require(again == value, "a value comes back as it was written")
        var textAgain: [UInt8] = []
        again.write(to: &textAgain)
        Property.require(textAgain == text, "a value's text does not change any more")
    }

    /// The document of a text, or nil; an error's place has to lie in the text.
    private static func parse(_ text: [UInt8]) -> JSONDocument? {
        var document = JSONDocument()
        do throws(JSONError) {
            try document.parse(text.span)
            return document
        } catch {
            Property.require(error.offset >= 0 && error.offset <= text.count, "\(error)")
            return nil
        }
    }

    /// Every value lies inside its container, behind its older sibling, and knows where it ends.
    private static func checkNesting(_ document: JSONDocument, _ text: [UInt8]) {
        var open: [(inside: Range<Int>, next: Int)] = []
        var behind = 0
        for (index, entry) in document.entries.enumerated() {
            while let top = open.last, index >= top.next {
                behind = top.inside.upperBound + 1
                open.removeLast()
            }
            let inside = open.last?.inside ?? 0..<text.count
            let next = open.last?.next ?? document.entries.count
            Property.require(!entry.range.isEmpty, "a value has a text")
            Property.require(entry.range.lowerBound >= behind, "values follow each other")
            Property.require(entry.range.lowerBound >= inside.lowerBound, "a value lies inside")
            Property.require(entry.range.upperBound <= inside.upperBound, "a value lies inside")
            Property.require(Int(entry.next) > index && Int(entry.next) <= next, "next is inside")
            if entry.kind == .array || entry.kind == .object {
                open.append((entry.contents, Int(entry.next)))
                behind = entry.contents.lowerBound
            } else {
                Property.require(Int(entry.next) == index + 1, "only containers contain")
                behind = entry.range.upperBound
            }
        }
    }

    /// Every member is found under its own name.
    private static func checkMembers(_ document: JSONDocument, _ object: Int, _ text: [UInt8]) {
        for index in document.children(of: object) {
            let contents = document.entries[index].contents
            let name = JSONText.unescaped(text.span.extracting(contents))
            let found = document.member(name, of: object, in: text.span)
            Property.require(found == index + 1, "a member is found under its name")
        }
    }

    private static func checkValue(_ entry: JSONEntry, _ text: [UInt8]) {
        var subject: [UInt8] = []
        let isSubject = Subject.append(entry, in: text.span, to: &subject)
        Property.require(isSubject != subject.isEmpty, "a subject is not empty")
        switch entry.kind {
        case .string:
            let bytes = JSONText.unescaped(text.span.extracting(entry.contents))
            Property.require(bytes.count <= entry.contents.count, "escapes are longer")
            Property.require(String(validating: bytes, as: UTF8.self) != nil, "strings are UTF-8")
            Property.require(bytes == subject, "a string is its own subject")
        case .number:
            guard let number = Double(String(decoding: text[entry.range], as: UTF8.self)) else {
                fatalError("a number is one for the standard library too")
            }
            if number.isFinite { checkNumber(number) }
            if isSubject, let integer = Int64(exactly: number), integer.magnitude < 1 << 53 {
                Property.require(
                    subject == Array(String(integer).utf8),
                    "\(number) has the subject \(String(decoding: subject, as: UTF8.self))"
                )
            }
        case .null, .boolean, .array, .object:
            Property.require(!isSubject, "only strings and numbers are subjects")
        }
    }

    /// A number that a model answers with is strict JSON and reads back as the same number.
    private static func checkNumber(_ number: Double) {
        var text: [UInt8] = []
        text.append(addingCapacity: JSONNumber.bytesMaximum) { JSONNumber.append(number, to: &$0) }
        Property.require(parse(text)?.entries[0].kind == .number, "a written number is JSON")
        let back = Double(String(decoding: text, as: UTF8.self))
        Property.require(back == number, "\(number) comes back as \(String(describing: back))")
    }
}
