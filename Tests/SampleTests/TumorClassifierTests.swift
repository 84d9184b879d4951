import Endpoints
import JSON
import Platform
import PluginHost
import TestSupport
import Testing

/// Both versions against what scikit-learn answered for every row of the data.
struct TumorClassifierTests {
    /// What `train.py` wrote: names in the first line, then a row a line.
    private struct Expected {
        let names: [Substring]
        let rows: [[Substring]]

        init() throws {
            let path = "\(Built.repository)/Plugins/tumor_classifier/expected.csv"
            let text = String(decoding: try File.read(path, limit: 1 << 20), as: UTF8.self)
            let lines = text.split(separator: "\n").map { $0.split(separator: ",") }
            names = try #require(lines.first)
            rows = Array(lines.dropFirst())
        }

        /// The measurements of a row as the `data` of a request.
        func data(_ row: [Substring]) -> String {
            let members = zip(names, row).prefix(30).map { "\"\($0)\":\($1)" }
            return "{\"patient_id\":\"p-1\",\(members.joined(separator: ","))}"
        }
    }

    @Test(arguments: [
        ("tumor_classifier_v1", "logistic_regression"),
        ("tumor_classifier_v2", "gradient_boosted_trees"),
    ])
    func `a version answers as scikit-learn does, on every row`(
        plugin: String,
        column: String
    ) throws {
        let sample = try Sample(plugin, resources: Sample.treesFolder)
        let expected = try Expected()
        #expect(expected.rows.count == 569)
        #expect(
            sample.description.inputs?.map(\.name) == expected.names.prefix(30).map(String.init)
        )
        let place = try #require(expected.names.firstIndex { $0 == column })
        var largestDifference = 0.0
        for (number, row) in expected.rows.enumerated() {
            try #require(row.count == 32, "row \(number)")
            let wanted = try #require(Double(row[place]))
            let answer = try JSONValue(parsing: Array(sample.ask(expected.data(row)).utf8))
            try #require(answer.object?.map(\.name) == ["diagnosis", "probability"])
            guard case .number(let text) = answer["probability"], let found = Double(text) else {
                Issue.record("row \(number): \(answer.text)")
                return
            }
            largestDifference = max(largestDifference, abs(found - wanted))
            let diagnosis = wanted >= 0.5 ? "malignant" : "benign"
            #expect(answer["diagnosis"] == .string(diagnosis), "row \(number)")
        }
        // 1e-9 is what the sample promises; this also sees digits that a version does not write.
        #expect(largestDifference <= 1e-12)
    }

    @Test func `asking either version allocates nothing`() throws {
        let expected = try Expected()
        for plugin in ["tumor_classifier_v1", "tumor_classifier_v2"] {
            let sample = try Sample(plugin, resources: Sample.treesFolder)
            let count = try sample.allocations(expected.data(expected.rows[1]))
            #expect(count == 0 || count == nil, "\(plugin): \(count ?? 0)")
        }
    }

    @Test(arguments: ["tumor_classifier_v1", "tumor_classifier_v2"])
    func `measurements beyond all measure are refused`(plugin: String) throws {
        let sample = try Sample(plugin, resources: Sample.treesFolder)
        let expected = try Expected()
        var row = expected.rows[0]
        for index in 0..<30 { row[index] = "1e308" }
        let sentence = "invalidInput: a measurement is not between 0 and 1000000"
        #expect(try sample.ask(expected.data(row)) == sentence)
    }

    // MARK: The resource of version 2

    /// A whole resource with these trees.
    private func resource(
        _ trees: String,
        format: String = "gradient boosted trees 1",
        initial: String = "0.5",
        leavingOut count: Int = 0
    ) throws -> String {
        let names = try Expected().names.prefix(30).dropLast(count).map { "\"\($0)\"" }
        return "{\"format\":\"\(format)\",\"features\":[\(names.joined(separator: ","))],"
            + "\"initial\":\(initial),\"trees\":\(trees)}"
    }

    /// Why version 2 is not made from this text.
    private func refusal(_ text: String) throws -> String? {
        let folder = try TemporaryFolder()
        try folder.write("trees.json", text)
        do {
            _ = try Sample("tumor_classifier_v2", resources: folder.path)
            return nil
        } catch let error as PluginError {
            return error.found
        }
    }

    private func create(_ reason: String) -> String {
        "a create() that returned NULL with the reason 'the resource \"trees.json\" \(reason)'"
    }

    @Test func `a feature is compared as scikit-learn does: rounded to single precision`() throws {
        let folder = try TemporaryFolder()
        // As a Float, 0.1 is above the double 0.1; what equals its threshold goes left.
        try folder.write(
            "trees.json",
            try resource("[[[0,0.1,1,2],[0.25],[-0.25]],[[1,0.5,1,2],[0.125],[-0.125]]]")
        )
        let sample = try Sample("tumor_classifier_v2", resources: folder.path)
        let expected = try Expected()
        var row = expected.rows[0]
        row[0] = "0.1"
        row[1] = "0.5"
        #expect(
            try sample.ask(expected.data(row))
                == #"{"diagnosis":"malignant","probability":0.5926665999540697}"#
        )
        row[0] = "0.0999"
        #expect(
            try sample.ask(expected.data(row))
                == #"{"diagnosis":"malignant","probability":0.7057850278370112}"#
        )
    }

    @Test func `without its resource version 2 is not made`() throws {
        let error = #expect(throws: PluginError.self) { _ = try Sample("tumor_classifier_v2") }
        #expect(error?.found == create("is missing: the version was made without resources"))
        let empty = try TemporaryFolder()
        let other = #expect(throws: PluginError.self) {
            _ = try Sample("tumor_classifier_v2", resources: empty.path)
        }
        #expect(other?.found == create("cannot be opened: No such file or directory"))
    }

    @Test func `a damaged resource is refused as a whole`() throws {
        let whole = try resource("[[[1]]]")
        #expect(try refusal(whole) == nil)
        for length in stride(from: 0, to: whole.utf8.count, by: 13) {
            let found = try refusal(String(whole.prefix(length)))
            #expect(found?.hasPrefix(create("is damaged: ").dropLast()) == true, "\(length)")
        }
        #expect(
            try refusal(try resource("[[[1]]]", format: "trees"))
                == create("is damaged: \"format\" is not \"gradient boosted trees 1\"")
        )
        #expect(
            try refusal(try resource("[[[1]]]", leavingOut: 1))
                == create("is damaged: \"features\" are not the model's, in its order")
        )
        #expect(
            try refusal(try resource("[[[1]]]", initial: "1e999"))
                == create("is damaged: \"initial\" is not a number")
        )
    }

    @Test(arguments: [
        ("[]", "\"trees\" is not a list of 1 to 10000"),
        ("[[[1]],[]]", "tree 1: it is not a list of 1 to 10000 nodes"),
        ("[[[1,2]]]", "tree 0: node 0 is neither [value] nor [feature, threshold, left, right]"),
        ("[[[1e999]]]", "tree 0: node 0 is neither [value] nor [feature, threshold, left, right]"),
        ("[[[\"1\"]]]", "tree 0: node 0 is neither [value] nor [feature, threshold, left, right]"),
        (
            "[[[0,1e999,1,2],[1],[1]]]",
            "tree 0: node 0 is neither [value] nor [feature, threshold, left, right]"
        ),
        ("[[[30,1,1,2],[1],[1]]]", "tree 0: node 0 compares a feature that there is not"),
        ("[[[-1,1,1,2],[1],[1]]]", "tree 0: node 0 compares a feature that there is not"),
        ("[[[0,1,1,3],[1],[1]]]", "tree 0: node 0 does not have two children of its own behind it"),
        ("[[[0,1,1,1],[1]]]", "tree 0: node 0 does not have two children of its own behind it"),
        ("[[[0,1,0,1],[1]]]", "tree 0: node 0 does not have two children of its own behind it"),
        (
            "[[[0,1,1,2],[0,1,2,3],[1],[1]]]",
            "tree 0: node 1 does not have two children of its own behind it"
        ),
        ("[[[0,1,1,2],[1],[1],[1]]]", "tree 0: node 3 is no other node's child"),
    ])
    func `a tree that a walk could leave or circle in is refused`(
        trees: String,
        sentence: String
    ) throws {
        #expect(try refusal(try resource(trees)) == create("is damaged: \(sentence)"))
    }
}
