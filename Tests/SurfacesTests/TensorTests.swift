import Bytes
import Endpoints
import JSON
import Surfaces
import Testing

/// Tensors as a client sends them, and what becomes of them.
struct TensorTests {
    /// A request with a JSON header and bytes behind it.
    private func request(
        _ header: String,
        _ bytes: [UInt8] = []
    ) throws -> (TensorRequest, JSONDocument, [UInt8]) {
        let head = Array(header.utf8)
        let body = head + bytes
        let request = TensorRequest()
        var document = JSONDocument()
        try document.parse(head.span)
        try request.decode(document, in: body.span, header: head.count)
        return (request, document, body)
    }

    private func rows(
        _ header: String,
        _ bytes: [UInt8] = [],
        inputs: [InputDescription]? = [
            InputDescription(name: "x", type: .number, isRequired: true),
            InputDescription(name: "any", type: .json, isRequired: false),
        ]
    ) throws -> String {
        let (request, document, body) = try request(header, bytes)
        var text: [UInt8] = []
        let count = try request.rows(CallLimits())
        let binding = InputBinding(inputs)
        try request.appendRows(count, for: binding, document, body.span, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    private func input(
        _ type: String,
        _ shape: String,
        _ data: String,
        name: String = "x"
    ) -> String {
        #"{"name":"\#(name)","datatype":"\#(type)","shape":\#(shape),"data":\#(data)}"#
    }

    @Test(arguments: [
        ("FP32", "[2]", "[1.5, -2e3]", #"[{"x":1.5},{"x":-2e3}]"#),
        ("FP64", "[2,1]", "[[1],[2]]", #"[{"x":1},{"x":2}]"#),
        ("INT8", "[1]", "[5.0]", #"[{"x":5.0}]"#),
        ("BOOL", "[1]", "[true]", #"[{"x":true}]"#),
        ("BYTES", "[1]", #"["a\n"]"#, #"[{"x":"a\n"}]"#),
        ("FP32", "[1,2]", "[1,2]", #"[{"x":[1,2]}]"#),
        ("FP32", "[2,1,2]", "[1,2,3,4]", #"[{"x":[[1,2]]},{"x":[[3,4]]}]"#),
    ])
    func `tensors become rows`(type: String, shape: String, data: String, rows: String) throws {
        #expect(try self.rows(#"{"inputs":[\#(input(type, shape, data))]}"#) == rows)
    }

    @Test func `an input of any JSON takes text, numbers and lists`() throws {
        func any(_ type: String, _ shape: String, _ data: String) throws -> String {
            try rows(#"{"inputs":[\#(input(type, shape, data, name: "any"))]}"#)
        }
        #expect(
            try any("BYTES", "[3]", #"["{\"a\":1}","u-9","true"]"#)
                == #"[{"any":{"a":1}},{"any":"u-9"},{"any":true}]"#
        )
        #expect(try any("INT64", "[1]", "[7]") == #"[{"any":7}]"#)
        #expect(try any("INT64", "[1,1]", "[7]") == #"[{"any":[7]}]"#)
        let undeclared =
            #"{"inputs":[\#(input("BYTES", "[1]", #"["[1]"]"#)),\#(input("FP32", "[1]", "[2]", name: "y"))]}"#
        #expect(try rows(undeclared, inputs: nil) == "[[[1],2]]")
    }

    @Test(arguments: [
        (#""parameters":{"sequence_id":7},"#, "", "sequence_id"),
        (#""parameters":{"sequence_start":true,"other":1},"#, "", "sequence_start"),
        ("", #""parameters":{"shared_memory_region":"a"},"#, "shared_memory_region"),
        ("", #""parameters":{"classification":2},"#, "classification"),
    ])
    func `a request for what is not there is refused`(
        request: String,
        input: String,
        name: String
    )
        throws
    {
        let text =
            #"{\#(request)"inputs":[{"name":"x",\#(input)"datatype":"FP32","shape":[1],"data":[1]}]}"#
        do {
            _ = try self.request(text)
            Issue.record("\(name) was taken")
        } catch let failure as Failure {
            #expect(failure.code == .badInput)
            #expect(failure.sentence.contains("the parameter \"\(name)\" is not there"))
        }
    }

    @Test func `parameters that nobody knows are noted, plain names only and each once`() throws {
        let text = #"""
            {"parameters":{"priority":1,"a,b":2,"":3},"inputs":[{"name":"x","datatype":"FP32",
            "shape":[1],"data":[1],"parameters":{"priority":1,"mine":2,"binary_data":true}}]}
            """#
        #expect(try request(text).0.ignored == ["priority", "mine", "binary_data"])
    }

    @Test func `bytes of every type are read`() throws {
        let cases: [(type: String, bytes: [UInt8], text: String)] = [
            ("BOOL", [1], "true"), ("UINT8", [255], "255"), ("INT8", [255], "-1"),
            ("UINT16", [1, 2], "513"), ("INT16", [0, 128], "-32768"),
            ("UINT32", [255, 255, 255, 255], "4294967295"), ("INT32", [254, 255, 255, 255], "-2"),
            ("UINT64", [255, 255, 255, 255, 255, 255, 255, 255], "18446744073709551615"),
            ("INT64", [0, 0, 0, 0, 0, 0, 0, 128], "-9223372036854775808"),
            ("FP16", [0, 0x3c], "1.0"), ("BF16", [0x80, 0x3f], "1.0"),
            ("FP32", [0xcd, 0xcc, 0xcc, 0x3d], "0.10000000149011612"),
            ("FP64", [0, 0, 0, 0, 0, 0, 0xf0, 0x3f], "1.0"),
            ("BYTES", [2, 0, 0, 0, 0x68, 0x69], "\"hi\""),
        ]
        for one in cases {
            let size = #""parameters":{"binary_data_size":\#(one.bytes.count)}"#
            let header =
                #"{"inputs":[{"name":"x","datatype":"\#(one.type)","shape":[1],\#(size)}]}"#
            #expect(try rows(header, one.bytes) == "[{\"x\":\(one.text)}]", "\(one.type)")
        }
    }

    @Test func `every half-precision number reads back as itself`() throws {
        for bits in UInt16.min...UInt16.max {
            let bytes = [UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8)]
            for type in [Datatype.fp16, .bf16] {
                var text: [UInt8] = []
                guard TensorElement.append(type, bytes.span, 0, to: &text) else { continue }
                var packed: [UInt8] = []
                TensorElement.pack(type, text.span, to: &packed)
                guard packed == bytes else {
                    Issue.record("\(type) \(bits): \(String(decoding: text, as: UTF8.self))")
                    return
                }
            }
        }
    }

    @Test(arguments: [
        ("0.1", 0x2e66), ("65504", 0x7bff), ("65519.9", 0x7bff), ("5.9604644775390625e-08", 1),
        ("2.9e-08", 0), ("1.00048828125", 0x3c00), ("1.0014648437500001", 0x3c02), ("-0.0", 0x8000),
    ])
    func `a number becomes the nearest half-precision one`(text: String, bits: UInt64) {
        var bytes: [UInt8] = []
        TensorElement.pack(.fp16, Array(text.utf8).span, to: &bytes)
        #expect(UInt64(bytes[0]) | UInt64(bytes[1]) << 8 == bits)
    }

    @Test(arguments: [
        // Just above the middle of two neighbours: a float on the way would lie in the middle.
        ("1.00390625000001", 0x3f81), ("1.00390625", 0x3f80), ("1.01171875", 0x3f82),
        ("1.0117187499999", 0x3f81), ("-1.00390625000001", 0xbf81), ("0", 0), ("-0.0", 0x8000),
        ("3.3895313892515355e38", 0x7f7f), ("9.183549615799121e-41", 1), ("4.5e-41", 0),
        ("1.1754943508222875e-38", 0x80),
    ])
    func `a number becomes the nearest of half a float, rounded once`(text: String, bits: UInt64) {
        var bytes: [UInt8] = []
        TensorElement.pack(.bf16, Array(text.utf8).span, to: &bytes)
        let packed = UInt64(bytes[0]) | UInt64(bytes[1]) << 8
        #expect(packed == bits, "\(text): \(packed)")
    }

    @Test(arguments: [
        ("[]", "is no JSON object"), ("{}", "no list \"inputs\""),
        (#"{"inputs":[]}"#, "\"inputs\" is empty"),
        (#"{"inputs":[1]}"#, "input 0 is no object with a \"name\""),
        (#"{"inputs":[{"name":"x"}]}"#, "no \"datatype\""),
        (#"{"inputs":[{"name":"x","datatype":"FP7"}]}"#, "\"FP7\"; there are BOOL, UINT8"),
        (#"{"inputs":[{"name":"x","datatype":"FP32"}]}"#, "no \"shape\""),
        (#"{"inputs":[{"name":"x","datatype":"FP32","shape":[-1],"data":[1]}]}"#, "\"shape\""),
        (
            #"{"inputs":[{"name":"x","datatype":"FP32","shape":[4294967296,4294967296],"data":[1]}]}"#,
            "beyond all bounds"
        ),
        (#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1]}]}"#, "neither \"data\" nor"),
        (#"{"inputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[1]}]}"#, "has 1 elements"),
        (#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[true]}]}"#, "no FP32"),
        (#"{"inputs":[{"name":"x","datatype":"FP16","shape":[1],"data":[1e5]}]}"#, "no FP16"),
        (#"{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[128]}]}"#, "no INT8"),
        (#"{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[1.5]}]}"#, "no INT8"),
        (
            #"{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"parameters":{"binary_data_size":2}}]}"#,
            "0 bytes are left"
        ),
        (#"{"inputs":[],"parameters":1}"#, "\"parameters\" is no object"),
        (#"{"inputs":[],"parameters":{"timeout":-1}}"#, "\"timeout\" is -1"),
        (#"{"inputs":[],"id":7}"#, "\"id\" is no string"),
    ])
    func `a request that cannot be is one sentence`(header: String, words: String) throws {
        let failure = try #require(throws: Failure.self) { _ = try request(header) }
        #expect(failure.sentence.contains(words), "\(failure.sentence)")
    }

    @Test func `numbers that JSON cannot express are refused, and text that is no UTF-8`() throws {
        func failure(_ type: String, _ bytes: [UInt8]) throws -> String {
            let size = #""parameters":{"binary_data_size":\#(bytes.count)}"#
            let header = #"{"inputs":[{"name":"x","datatype":"\#(type)","shape":[1],\#(size)}]}"#
            return try #require(throws: Failure.self) { _ = try rows(header, bytes) }.sentence
        }
        #expect(try failure("FP32", [0, 0, 0x80, 0x7f]).contains("no finite number at 0"))
        #expect(try failure("FP16", [0, 0x7e]).contains("no finite number at 0"))
        #expect(try failure("BYTES", [1, 0, 0, 0, 0xff]).contains("no UTF-8 at 0"))
    }

    @Test func `a whole body is one tensor`() throws {
        let request = TensorRequest()
        let input = TensorDescription(name: "x", datatype: .int16, shape: [-1, 2])
        try request.decode(raw: [UInt8]([1, 0, 2, 0, 3, 0, 4, 0]).span, as: input)
        #expect(request.shape(of: request.tensors[0]) == [2, 2])
        #expect(throws: Failure.self) {
            try request.decode(raw: [UInt8]([1, 0, 2]).span, as: input)
        }
    }

    @Test func `a subject is one for the call, or none`() throws {
        func subject(_ data: String, _ type: String = "BYTES") throws -> String? {
            let (request, document, body) = try request(
                #"{"inputs":[\#(input(type, "[2]", data, name: "user"))]}"#
            )
            var subject: [UInt8] = []
            let isFound = request.appendSubject(
                Array("user".utf8),
                document,
                body.span,
                to: &subject
            )
            return isFound ? String(decoding: subject, as: UTF8.self) : nil
        }
        #expect(try subject(#"["u1","u1"]"#) == "u1")
        #expect(try subject(#"["u1","u2"]"#) == nil)
        #expect(try subject("[7,7.0]", "INT32") == "7")
        #expect(try subject("[true,true]", "BOOL") == nil)
    }
}

/// Results of classifiers.
struct ClassReadingTests {
    @Test(arguments: [
        ("0.25", 0, [0.75, 0.25]), ("0.5", 1, [0.5, 0.5]), ("[0.4,0.6]", 1, [0.4, 0.6]),
        (#"{"yes":0.9,"no":0.1}"#, 1, [0.1, 0.9]),
    ])
    func `a probability says the class`(result: String, prediction: Int, probas: [Double]) {
        var reading = ClassReading()
        let output = OutputDescription(type: .json, classes: ["no", "yes"])
        let isRead = reading.read(Array(result.utf8).span, as: output)
        #expect(isRead)
        #expect(reading.prediction == prediction && reading.probabilities == probas)
    }

    @Test(arguments: ["1.5", "-0.1", "[0.4]", #"{"yes":0.9}"#, "null", #""yes""#, #"[0.4,"x"]"#])
    func `what is not as declared is not read`(result: String) {
        var reading = ClassReading()
        let output = OutputDescription(type: .json, classes: ["no", "yes"])
        let isRead = reading.read(Array(result.utf8).span, as: output)
        #expect(!isRead)
    }
}
