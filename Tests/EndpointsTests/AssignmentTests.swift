import Endpoints
import JSON
import Testing

/// The vectors are those of the research note on experiments, sections 1.8 and 1.9: they must never
/// change, or every subject of every running experiment moves.
struct AssignmentTests {
    private func assigner(
        _ experiment: String,
        _ weights: KeyValuePairs<String, Double>
    ) -> (Assigner, [Split]) {
        let endpoint = Endpoint(
            name: "e",
            splits: weights.map {
                Split(name: $0.key, weight: $0.value, weightText: "", backend: .value("1"))
            },
            experiment: nil,
            service: "e"
        )
        return (Assigner(experiment: experiment, splits: endpoint.splits), endpoint.splits)
    }

    private func split(_ assigner: Assigner, _ splits: [Split], _ subject: String) -> String {
        splits[assigner.split(subject: Array(subject.utf8).span)].name
    }

    @Test(arguments: [
        ("pricing_optimizer", "control", "123", 0.7443754331247424),
        ("pricing_optimizer", "experiment", "123", 0.7159681975553817),
        ("foo", "control", "user-1", 0.09382428100735363),
        ("foo", "experiment", "user-1", 0.7960070469180401),
        ("foo", "control", "é", 0.8820743673405341),
        ("foo", "experiment", "é", 0.9602687580116546),
    ])
    func `the published numbers of experiment, split and subject come out`(
        experiment: String,
        arm: String,
        subject: String,
        number: Double
    ) {
        let found = Assigner.fraction(
            experiment: experiment,
            arm: arm,
            subject: Array(subject.utf8)
        )
        #expect(found == number)
    }

    @Test(arguments: [
        ("123", "experiment"), ("user-1", "experiment"), ("é", "control"), ("0", "experiment"),
    ])
    func `the published subjects go to the published splits`(subject: String, name: String) {
        let (assigner, splits) = assigner(
            "pricing_optimizer",
            ["control": 1, "experiment": 3]
        )
        #expect(split(assigner, splits, subject) == name)
    }

    @Test func `a hundred thousand subjects divide as published`() {
        let (assigner, splits) = assigner(
            "pricing_optimizer",
            ["control": 1, "experiment": 3]
        )
        var counts = [0, 0]
        for number in 0..<100_000 {
            counts[assigner.split(subject: Array(String(number).utf8).span)] += 1
        }
        #expect(splits.map(\.name) == ["control", "experiment"])
        #expect(counts == [25012, 74988])
    }

    @Test func `order and scale of the weights do not matter`() {
        let (one, first) = assigner("x", ["a": 1, "b": 3, "c": 0.5])
        let (two, second) = assigner("x", ["c": 50, "b": 300, "a": 100])
        for number in 0..<2000 {
            let subject = String(number)
            #expect(split(one, first, subject) == split(two, second, subject))
        }
    }

    @Test func `a split with weight zero is never chosen`() {
        let (assigner, splits) = assigner("x", ["a": 0, "b": 1, "c": 1])
        var coin = CoinGenerator(seed: 1)
        for number in 0..<2000 {
            #expect(split(assigner, splits, String(number)) != "a")
            #expect(splits[assigner.split(random: coin.next())].name != "a")
        }
        #expect(splits[assigner.split(random: 0)].name == "b")
        #expect(splits[assigner.split(random: .max)].name == "c")
    }

    @Test func `a canary that grows only draws subjects in`() {
        let (before, splits) = assigner("x", ["canary": 5, "stable": 95])
        let (after, _) = assigner("x", ["canary": 10, "stable": 90])
        var moved = 0
        for number in 0..<20_000 {
            let old = split(before, splits, String(number))
            let new = split(after, splits, String(number))
            if old != new {
                moved += 1
                #expect(old == "stable" && new == "canary")
            }
        }
        // The least that must move is 5 %; 3 sigma of 20,000 subjects are 0.0047.
        #expect(abs(Double(moved) / 20_000 - 0.05) < 0.0047)
    }

    @Test func `a coin divides by weight`() {
        let (assigner, _) = assigner("x", ["a": 1, "b": 3])
        var coin = CoinGenerator(seed: 20_261_121)
        var first = 0
        for _ in 0..<100_000 where assigner.split(random: coin.next()) == 0 { first += 1 }
        #expect(abs(first - 25_000) < 411)  // 3 sigma
    }

    @Test func `only one split with a weight is known before any request`() {
        #expect(assigner("x", ["a": 0, "b": 2]).0.only == 1)
        #expect(assigner("x", ["a": 1, "b": 2]).0.only == nil)
    }
}

struct SubjectTests {
    private func subject(_ json: String) throws -> String? {
        var document = JSONDocument()
        let text = Array(json.utf8)
        try document.parse(text.span)
        var bytes: [UInt8] = []
        guard Subject.append(document.entries[0], in: text.span, to: &bytes) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: [
        ("\"123\"", "123"), ("123", "123"), ("123.0", "123"), ("1.23e2", "123"), ("1.23E+2", "123"),
        ("12300e-2", "123"), ("-0", "0"), ("-0.0", "0"), ("0", "0"), ("0e999999", "0"),
        ("-5.0", "-5"),
        ("9007199254740993", "9007199254740993"), ("\" 123\"", " 123"), ("\"ABC\"", "ABC"),
        ("\"é\"", "é"), ("\"\\u0065\\u0301\"", "e\u{301}"), ("1e20", "100000000000000000000"),
        ("\"a\\n\\\"b\"", "a\n\"b"), ("100e-2", "1"), ("0.1e1", "1"), ("1.000", "1"),
    ])
    func `a value that names somebody has one canonical form`(json: String, text: String) throws {
        #expect(try subject(json).map { Array($0.utf8) } == Array(text.utf8))
    }

    @Test(arguments: [
        "12.5", "1e400", "true", "false", "null", "\"\"", "[]", "{}", "[1]", "1.5e0", "1e-1",
        "1e22",
        "123e-400", "1e999999999999",
    ])
    func `a value that names nobody is no subject`(json: String) throws {
        #expect(try subject(json) == nil)
    }
}
