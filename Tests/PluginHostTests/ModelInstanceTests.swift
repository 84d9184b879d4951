import JSON
import Platform
import PluginHost
import TestSupport
import Testing

/// One opened plugin and an instance of it.
private struct Model {
    let instance: ModelInstance
    let frame = CallFrame()

    init(
        _ plugin: String,
        settings: String = "{}",
        log: @escaping PluginLogSink = { _, _, _ in }
    )
        throws
    {
        let path = try Built.plugin(plugin)
        let bytes = try File.read(path, limit: 1 << 28)
        instance = try ModelInstance(
            plugin: Plugin(path: path, bytes: bytes, shownAs: path),
            name: "n",
            version: 3,
            settings: settings,
            resources: "",
            log: log
        )
    }

    /// Asks with values that are given as kind and text.
    func ask(_ inputs: [(JSONReferenceKind, String)], flag: Bool = false) -> String {
        var text: [UInt8] = []
        var values: [JSONReference] = []
        for (kind, part) in inputs {
            let start = text.count
            text += Array(part.utf8)
            values.append(JSONReference(kind: kind, flag: flag, start: start, end: text.count))
        }
        let end = instance.predict(
            values.span,
            in: text.span,
            requestID: Array("id".utf8).span,
            deadline: 0,
            frame: frame
        )
        switch end {
        case .unreadable(let position): return "unreadable \(position)"
        case .failed(let status, let message): return "\(status): \(message)"
        case .answered:
            var result: [UInt8] = []
            frame.withResult { span in
                for index in span.indices { result.append(span[index]) }
            }
            return String(decoding: result, as: UTF8.self)
        }
    }
}

struct ModelInstanceTests {
    @Test func `a C plugin of thirty lines answers`() throws {
        let model = try Model("thirty_lines")
        #expect(model.ask([(.number, "6"), (.number, "7.5")]) == "45.0")
        #expect(model.ask([(.number, "-0.125"), (.number, "8")]) == "-1.0")
        let source = try File.read(
            "\(Built.repository)/Tests/Fixtures/thirty_lines/plugin.c",
            limit: 10_000
        )
        #expect(source.split(separator: 0x0a, omittingEmptySubsequences: false).count - 1 == 30)
    }

    @Test(arguments: [
        "0", "1", "-1.5", "123456789012345", "0.1", "1234567890123456", "0.30000000000000004",
        "1e5",
        "-2.5E-3", "9007199254740993", "1.7976931348623157e308", "0.7443754331247424", "5e-324",
    ])
    func `a number reaches the model as the nearest double`(text: String) throws {
        let model = try Model("thirty_lines")
        #expect(model.ask([(.number, text), (.number, "1")]) == Double(text)?.description)
    }

    @Test func `a number of any length is read, and one beyond a double is not passed on`() throws {
        let model = try Model("thirty_lines")
        let long = "1.\(String(repeating: "0", count: 5000))1"
        #expect(model.ask([(.number, long), (.number, "3")]) == "3.0")
        #expect(model.ask([(.number, "2"), (.number, "1e999")]) == "unreadable 1")
        #expect(model.ask([(.number, "-1e309"), (.number, "1")]) == "unreadable 0")
    }

    @Test func `declared values of every type reach a Swift model`() throws {
        let model = try Model("reading_model")
        let answer = model.ask([(.number, "2.5"), (.absent, ""), (.string, "é!"), (.boolean, "")])
        #expect(
            answer == #"{"number":2.5,"maybe":-1.0,"length":3.0,"flag":false,"list":[1.0,"two"]}"#
        )
        let escaped = model.ask(
            [(.number, "1"), (.number, "7"), (.string, #"\u00e9\n\"x\""#), (.boolean, "")],
            flag: true
        )
        #expect(
            escaped == #"{"number":1.0,"maybe":7.0,"length":6.0,"flag":true,"list":[1.0,"two"]}"#
        )
        #expect(
            model.ask([(.number, "3"), (.absent, ""), (.string, "number"), (.boolean, "")]) == "3.0"
        )
    }

    @Test(arguments: [
        ("\"two\"", "internalError: the model wrote more than one result for one row"),
        ("\"none\"", "internalError: the model returned OK but wrote no result"),
        (
            "\"infinite\"",
            "internalError: the model wrote the number inf, which JSON cannot express"
        ),
        ("\"error\"", "invalidInput: no such customer"),
        ("\"silent_error\"", "internalError: the model gave no reason"),
        ("\"unknown_status\"", "internalError: the model gave no reason"),
    ])
    func `a row that does not end with one result has failed`(
        argument: String,
        failure: String
    ) throws {
        let model = try Model("misfit_results")
        #expect(model.ask([(.json, argument)]) == failure)
        // The frame is as good as new afterwards.
        #expect(model.ask([(.json, "3")]) == "\"xxx\"")
    }

    @Test func `a Swift model that writes no JSON has failed, and nothing traps`() throws {
        let model = try Model("reading_model")
        let answer = model.ask(
            [(.number, "1"), (.absent, ""), (.string, "infinite"), (.boolean, "true")]
        )
        #expect(
            answer == "internalError: the model wrote the number inf, which JSON cannot express"
        )
    }

    @Test func `a result of a hundred million bytes is refused and a large one is kept`() throws {
        let model = try Model("misfit_results")
        #expect(model.ask([(.json, "5000000")]).utf8.count == 5_000_002)
        #expect(
            model.ask([(.json, "100000000")]).hasPrefix("internalError: the model wrote 1000000")
        )
    }

    @Test func `a model's log lines carry its name and version`() throws {
        let lines = Guarded<[String]>([])
        let model = try Model("misfit_results") { level, source, text in
            lines.withLock { $0.append("\(level) \(source) \(text)") }
        }
        #expect(model.ask([(.json, "\"log\"")]) == "1.0")
        #expect(lines.withLock { $0 } == ["warning n/3 a line"])
    }

    @Test func `a model that refuses its settings says why`() {
        let error = #expect(throws: PluginError.self) {
            _ = try Model("reading_model", settings: #"{"refuse":true}"#)
        }
        #expect(
            error?.found == "a create() that returned NULL with the reason 'the settings say no'"
        )
    }

    @Test func `Codable values come and go`() throws {
        let model = try Model("codable_model")
        let basket = #"{"items":[{"name":"tea","price":2.5,"count":3},{"name":"a\"b","price":1}]}"#
        #expect(
            model.ask([(.json, basket)])
                == #"{"total":8.5,"names":["tea","a\"b"],"hasVoucher":false}"#
        )
        #expect(model.ask([(.json, #"{"items":[]}"#)]) == "invalidInput: the basket is empty")
        #expect(
            model.ask([(.json, #"{"items":[{"name":"x"}]}"#)])
                == "invalidInput: the input \"items.[0].price\" is missing"
        )
        #expect(
            model.ask([(.json, #"{"items":[{"name":1,"price":1}]}"#)])
                == "invalidInput: the input \"items.[0].name\" is not usable: wanted a string"
        )
    }

    @Test func `a call with declared values allocates nothing`() throws {
        for plugin in ["reading_model", "thirty_lines"] {
            let model = try Model(plugin)
            let values: [(JSONReferenceKind, String)] =
                plugin == "thirty_lines"
                ? [(.number, "0.7443754331247424"), (.number, "1")]
                : [
                    (.number, "0.7443754331247424"), (.absent, ""), (.string, "abc"),
                    (.boolean, ""),
                ]
            var text: [UInt8] = []
            var references: [JSONReference] = []
            for (kind, part) in values {
                let start = text.count
                text += Array(part.utf8)
                references.append(
                    JSONReference(kind: kind, flag: false, start: start, end: text.count)
                )
            }
            let id = Array("id".utf8)
            let count = AllocationCount.during(calls: 1000) {
                _ = model.instance.predict(
                    references.span,
                    in: text.span,
                    requestID: id.span,
                    deadline: 0,
                    frame: model.frame
                )
            }
            #expect(count == 0 || count == nil, "\(plugin)")
        }
    }
}
