// How long a body takes from bytes to a checked list of values, beside simdjson on the same bytes.
//
// The documents are made here and left in a folder, where `simdjson.cpp` reads them; `parse.py`
// runs both in turn. Both print a line for each document: name, bytes, nanoseconds a document,
// megabytes a second.

import Bytes
import JSON
import Platform

/// Measures `JSONDocument.parse`: the median of some rounds for each document.
func measureJSON(_ folder: String) throws {
    try Directory.createAll(folder)
    for (name, text) in JSONBodies.all() {
        try File.writeAtomically("\(folder)/\(name).json", text)
        let nanoseconds = try JSONBodies.median(text)
        var line = name + String(repeating: " ", count: 10 - name.utf8.count)
        for (number, width) in [
            (Double(text.count), 9), (nanoseconds, 13),
            (Double(text.count) * 1000 / nanoseconds, 9),
        ] {
            let digits = String(Int64(number.rounded()))
            line += String(repeating: " ", count: max(1, width - digits.utf8.count)) + digits
        }
        StandardStream.output(line + "\n")
    }
}

/// The documents, the same in every run.
private struct JSONBodies {
    private var state: UInt64 = 1
    private var text: [UInt8] = []

    static func all() -> [(name: String, text: [UInt8])] {
        let row = #"{"user_id": 123, "category": "shopping", "price": 19.99, "quantity": 3}"#
        return [
            ("small", Array(#"{"data": \#(row)}"#.utf8)),
            ("batch", make { $0.appendBatch() }),
            ("texts", make { $0.appendTexts() }),
            ("numbers", make { $0.appendNumbers() }),
            ("pretty", make { $0.appendPretty() }),
        ]
    }

    /// Nanoseconds for one document: the median of 25 rounds of 10 milliseconds or more.
    static func median(_ text: [UInt8]) throws -> Double {
        var document = JSONDocument()
        var rounds: [Double] = []
        var count = 1
        while rounds.count < 25 {
            let start = MonotonicClock.now()
            for _ in 0..<count { try document.parse(text.span) }
            let passed = MonotonicClock.now() - start
            if passed < 10_000_000 {
                count *= 2
            } else {
                rounds.append(Double(passed) / Double(count))
            }
        }
        return rounds.sorted()[rounds.count / 2]
    }

    private static func make(_ body: (inout JSONBodies) -> Void) -> [UInt8] {
        var bodies = JSONBodies()
        body(&bodies)
        return bodies.text
    }

    private mutating func random(_ bound: UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 33) % bound
    }

    private mutating func choice(_ words: [String]) -> String {
        words[Int(random(UInt64(words.count)))]
    }

    private mutating func price() -> String { "\(Double(random(100_000)) / 100)" }

    private mutating func appendBatch() {
        text.append(#"{"data": ["#)
        for row in 1...10_000 {
            let category = choice(["shopping", "food", "travel", "home electronics"])
            text.append(row == 1 ? "" : ", ")
            text.append(#"["a\#(row)", {"user_id": \#(random(1_000_000)), "category": "#)
            text.append(#""\#(category)", "price": \#(price()), "quantity": \#(random(20))}]"#)
        }
        text.append("]}")
    }

    /// Half of the texts is ASCII, the others are of every length of UTF-8; one in ten words ends
    /// in an escape.
    private mutating func appendTexts() {
        let words = [
            ["the", "model", "answers", "with", "probability", "and", "an", "explanation"],
            ["the", "request", "of", "a", "customer", "waits", "in", "queue"],
            ["für", "Straße", "naïve", "garçon", "über", "einen", "Satz", "mit"],
            ["модель", "отвечает", "на", "запрос", "быстро", "и", "верно", "всегда"],
            ["模型", "的", "回答", "很快", "を", "予測する", "예측", "😀🚀"],
            ["one", "more", "text", "without", "anything", "special", "in", "it"],
        ]
        text.append("[")
        while text.count < 1 << 20 {
            text.append(text.count == 1 ? "\"" : ", \"")
            let language = words[Int(random(6))]
            for _ in 0..<20 + random(200) {
                text.append(choice(language))
                let escapes = [#"\n"#, #"\""#, #"\u00e9"#, #"\ud83d\ude00"#]
                text.append(random(10) == 0 ? choice(escapes) : " ")
            }
            text.append("\"")
        }
        text.append("]")
    }

    private mutating func appendNumbers() {
        text.append("[")
        while text.count < 1 << 20 {
            text.append(text.count == 1 ? "[" : ", [")
            for column in 0..<16 {
                let number = Double(random(1 << 31)) / Double(1 << 31)
                text.append(column == 0 ? "" : ", ")
                switch random(8) {
                case 0: text.append("\(random(100_000))")
                case 1: text.append("\(number * 1e-9)")
                case 2: text.append("-\((number * 1e6).rounded() / 1e3)")
                default: text.append("\(number)")
                }
            }
            text.append("]")
        }
        text.append("]")
    }

    private mutating func appendPretty() {
        text.append("{\n  \"orders\": [")
        while text.count < 1 << 20 {
            text.append(text.count < 20 ? "\n" : ",\n")
            text.append("    {\n      \"id\": \(random(1 << 30)),\n      \"customer\": {\n")
            text.append(
                "        \"name\": \"\(choice(["Ada Lovelace", "Alan Turing", "Zoë"]))\",\n"
            )
            text.append("        \"active\": \(choice(["true", "false", "null"])),\n")
            text.append("        \"address\": {\n          \"street\": \"1 Long Street\",\n")
            text.append(
                "          \"city\": \"\(choice(["London", "Paris", "Köln"]))\"\n        }\n"
            )
            text.append("      },\n      \"items\": [\n")
            for item in 0...random(3) {
                text.append(item == 0 ? "        {\n" : ",\n        {\n")
                text.append("          \"sku\": \"item-\(random(10_000))\",\n")
                text.append("          \"price\": \(price()),\n")
                text.append("          \"quantity\": \(random(20))\n        }")
            }
            text.append("\n      ]\n    }")
        }
        text.append("\n  ]\n}\n")
    }
}
