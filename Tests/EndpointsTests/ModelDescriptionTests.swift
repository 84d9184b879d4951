import Endpoints
import JSON
import Testing

struct ModelDescriptionTests {
    @Test func `a description is read with its defaults`() throws {
        let text =
            #"{"inputs":[{"name":"a","type":"number"},{"name":"b","type":"json","required":false}]}"#
        let description = try ModelDescription(json: Array(text.utf8))
        #expect(
            description.inputs == [
                InputDescription(name: "a", type: .number, isRequired: true),
                InputDescription(name: "b", type: .json, isRequired: false),
            ]
        )
        #expect(description.threading == .serial)
        #expect(description.execution == .inline)
    }

    @Test(arguments: [
        ("[]", "not an object"), ("{", "not JSON"), (#"{"input":[]}"#, "unknown member \"input\""),
        (#"{"threading":"none"}"#, "no such word"),
        (#"{"inputs":[{"type":"number"}]}"#, "without \"name\""),
        (#"{"inputs":[{"name":"a","type":"int"}]}"#, "no type"),
        (#"{"inputs":[{"name":"a","type":"json"},{"name":"a","type":"json"}]}"#, "twice"),
    ])
    func `what is wrong with a description is said`(text: String, problem: String) {
        let error = #expect(throws: DescriptionError.self) {
            try ModelDescription(json: Array(text.utf8))
        }
        #expect(error?.description.contains(problem) == true, "\(String(describing: error))")
    }
}

struct InputBindingTests {
    private let binding = InputBinding([
        InputDescription(name: "price", type: .number, isRequired: true),
        InputDescription(name: "category", type: .string, isRequired: false),
        InputDescription(name: "gift", type: .boolean, isRequired: false),
    ])

    private func bind(_ data: String) throws -> [String] {
        let text = Array(data.utf8)
        var document = JSONDocument()
        try document.parse(text.span)
        var values: [JSONReference] = []
        let arguments = [0]
        try binding.bind(arguments.span, of: document, in: text.span, to: &values)
        return values.map { value in
            "\(value.kind) \(String(decoding: text[value.start..<value.end], as: UTF8.self))"
        }
    }

    @Test func `members are found in any order and by escaped names`() throws {
        #expect(
            try bind(#"{"gift":true,"other":[1],"pr\u0069ce":1.50}"#)
                == ["number 1.50", "absent ", "boolean true"]
        )
        #expect(
            try bind(#"{"price":1,"category":"a\"b","gift":null}"#)
                == ["number 1", #"string a\"b"#, "null null"]
        )
    }

    @Test(arguments: [
        ("{}", "the input \"price\" is missing"),
        (#"{"price":"1"}"#, "the input \"price\" is a string; the model wants a number"),
        (#"{"price":null}"#, "the input \"price\" is null; the model wants a number"),
        (
            #"{"price":1,"category":5}"#,
            "the input \"category\" is a number; the model wants a string"
        ),
        (
            "[1]",
            "the model takes an object with the members \"price\", \"category\", \"gift\""
        ),
    ])
    func `an argument that does not fit is named`(data: String, sentence: String) throws {
        let error = #expect(throws: BindingError.self) { try bind(data) }
        #expect(error?.description == sentence)
    }
}
