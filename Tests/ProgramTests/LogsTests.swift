import JSON
import Platform
import TestSupport
import Testing

/// The request log as `switchyard logs` shows it.
struct LogsTests {
    private let host: HostProcess

    init() throws {
        host = try HostProcess()
        try Directory.create(logs)
    }

    private var logs: String { "\(host.folder.path)/logs" }

    /// Appends to a file of the log.
    private func write(_ first: Int, _ lines: [String]) throws {
        let number = String(first)
        let name = "requests-\(String(repeating: "0", count: 12 - number.count))\(number).jsonl"
        let file = try File.open("\(logs)/\(name)", access: .append)
        try file.writeAll(Array(lines.joined().utf8).span)
    }

    private func logs(_ arguments: [String]) throws -> (output: String, errors: String) {
        let result = try host.run(["logs"] + arguments + host.options)
        #expect(result.end == .exited(0), "\(result.errors)")
        return (result.output, result.errors)
    }

    private func summary(_ arguments: [String] = []) throws -> [JSONValue] {
        let text = try logs(["--summary", "--json"] + arguments).output
        return try #require(try JSONValue(parsing: Array(text.utf8)).array)
    }

    private func follow(_ arguments: [String]) throws -> ChildProcess {
        try ChildProcess(
            executable: Built.program,
            arguments: ["logs", "--follow"] + arguments + host.options,
            environment: ["PATH=/usr/bin:/bin"]
        )
    }

    /// The words of a line, which two spaces or more divide.
    private func cells(_ line: Substring) -> [String] {
        line.split(separator: "  ").map { String($0.drop { $0 == " " }) }
    }

    // MARK: Records

    @Test func `each kind of record is a line of its own for people`() throws {
        let records: [LogRecordText] = [
            .init { $0.id = "a" },
            .init {
                ($0.id, $0.microseconds, $0.subjects) = (
                    "b", 12_034_567, ["1", "2", "3", "4", "5"]
                )
                $0.part = 2
            },
            .init {
                ($0.id, $0.split, $0.version, $0.assignment) = ("c", nil, nil, nil)
                ($0.status, $0.code, $0.subjects, $0.microseconds) = (400, "bad_json", [], 7)
            },
            .init {
                ($0.id, $0.endpoint, $0.split, $0.assignment) = ("d", nil, nil, nil)
                ($0.time, $0.subjects) = ("2026-11-21T03:00:00.987654Z", [nil, nil])
            },
            .init {
                ($0.id, $0.version, $0.assignment) = ("e", nil, "coin")
                $0.subjects = ["\\u001b[31m\\n" + String(repeating: "s", count: 50)]
            },
        ]
        try write(1, records.map(\.line))
        let lines = try logs([]).output.split(separator: "\n").map { cells($0) }
        let time = "2026-11-21T03:00:00.000Z"
        let subject = "\u{fffd}[31m\u{fffd}" + String(repeating: "s", count: 34) + "…"
        let expected = [
            [
                "TIME", "STATUS", "ENDPOINT", "SPLIT", "VERSION", "ASSIGNMENT", "DURATION",
                "SUBJECT", "REQUEST",
            ],
            [
                time, "200", "pricing", "control", "main/model/1", "subject", "1.000 ms", "7", "a",
            ],
            [
                time, "200", "pricing", "control", "main/model/1", "subject", "12034.567 ms",
                "1, 2, 3 and 2 more", "b part 2",
            ],
            [time, "bad_json", "pricing", "-", "-", "-", "0.007 ms", "0 rows", "c"],
            [
                "2026-11-21T03:00:00.987Z", "200", "-", "-", "main/model/1", "-", "1.000 ms",
                "2 rows", "d",
            ],
            [time, "200", "pricing", "control", "-", "coin", "1.000 ms", subject, "e"],
        ]
        for (line, wanted) in zip(lines, expected) { #expect(line == wanted) }
        #expect(lines.count == expected.count)
    }

    @Test func `the last records are printed, unchanged for machines, from all files`() throws {
        let lines = (1...50).map { number in LogRecordText { $0.sequence = number }.line }
        try write(1, Array(lines[..<45]))
        try write(46, Array(lines[45...]))
        #expect(try logs(["--json"]).output == lines[30...].joined())
        #expect(try logs(["--json", "--lines", "7"]).output == lines[43...].joined())
        #expect(try logs(["--json", "--lines", "3"]).output == lines[47...].joined())
        #expect(try logs(["--json", "--lines", "0"]).output == "")
        #expect(try logs(["--json", "--lines", "10000"]).output == lines.joined())
        #expect(try logs(["--lines", "3"]).output.split(separator: "\n").count == 4)
    }

    @Test func `the last records are found far before the end of a large log`() throws {
        let wanted = (1...30).map { number in
            LogRecordText { ($0.sequence, $0.endpoint) = (number, "rare") }.line
        }
        let others = (31...12_000).map { number in
            LogRecordText { ($0.sequence, $0.endpoint) = (number, "common") }.line
        }
        try write(1, Array(wanted[..<15]))
        try write(16, Array(wanted[15...]) + others[..<6000])
        try write(6031, Array(others[6000...]))
        let size = others.reduce(0) { $0 + $1.utf8.count }
        #expect(size > 3 << 20, "several looks are needed")
        #expect(
            try logs(["--json", "--endpoint", "rare"]).output == wanted[10...].joined()
        )
    }

    @Test func `filters choose by endpoint, split and time`() throws {
        var records: [LogRecordText] = []
        for (number, time) in [
            "2000-01-01T00:00:00.000000Z", "2026-11-21T02:59:59.999999Z",
            "2026-11-21T03:00:00.000000Z", "2026-11-21T03:00:00.500000Z",
            "2999-01-01T00:00:00.000000Z",
        ].enumerated() {
            records.append(.init { ($0.id, $0.time) = ("t\(number)", time) })
        }
        records[1].endpoint = "other"
        records[2].split = "experiment"
        (records[3].endpoint, records[3].split) = (nil, nil)
        try write(1, records.map(\.line))
        let cases: [([String], [Int])] = [
            ([], [0, 1, 2, 3, 4]), (["--endpoint", "pricing"], [0, 2, 4]),
            (["--endpoint", "other"], [1]), (["--endpoint", "nothing"], []),
            (["--split", "experiment"], [2]), (["--split", "contro"], []),
            (["--endpoint", "pricing", "--split", "control"], [0, 4]),
            (["--since", "2026-11-21T03:00:00Z"], [2, 3, 4]),
            (["--since", "2026-11-21t04:00:00.000001+01:00"], [3, 4]),
            (["--since", "2026-11-20T21:29:59.9999995-05:30"], [1, 2, 3, 4]),
            (["--since", "2000-02-29T00:00:00Z"], [1, 2, 3, 4]), (["--since", "30s"], [4]),
            (["--since", "10min"], [4]), (["--since", "2h"], [4]),
            (["--since", "1000000000s"], [0, 1, 2, 3, 4]),
            (["--since", "36500d"], [0, 1, 2, 3, 4]),
        ]
        for (arguments, wanted) in cases {
            let lines = wanted.map { records[$0].line }.joined()
            #expect(try logs(["--json"] + arguments).output == lines, "\(arguments)")
            let sum = try summary(arguments).reduce(0) { $0 + ($1["requests"]?.unsigned ?? 0) }
            #expect(sum == UInt64(wanted.count), "\(arguments)")
        }
        #expect(try logs(["--endpoint", "nothing"]).output == "no records\n")
    }

    @Test func `what is no record is passed over and said`() throws {
        try write(1, [LogRecordText().line, "hello\n", "{}\n", LogRecordText().line, "{\"time\":"])
        let result = try logs([])
        #expect(result.output.split(separator: "\n").count == 3)
        #expect(
            result.errors == "switchyard logs: \(logs): passed over 2 lines that are no records; "
                + "only a host should write into requests-*.jsonl: look for what else does\n"
        )
        #expect(try logs(["--summary"]).errors == result.errors)
    }

    @Test func `a folder without records is no failure, and a missing folder is one`() throws {
        try host.folder.write("logs/other.jsonl", LogRecordText().line)
        #expect(try logs([]).output == "no records\n")
        #expect(try logs(["--summary"]).output == "no records\n")
        #expect(try logs(["--summary", "--json"]).output == "[]\n")
        #expect(try logs(["--json"]).output == "")
        let path = "\(host.folder.path)/nowhere"
        for arguments in [[], ["--summary"], ["--follow"]] {
            let result = try host.run(["logs", "--logs", path] + arguments)
            #expect(result.end == .exited(1))
            #expect(
                result.errors == "switchyard logs: \(path): found nothing; wanted the folder that "
                    + "a host writes its request log to; name it with --logs\n"
            )
        }
        let file = try host.folder.write("file", "")
        let result = try host.run(["logs", "--logs", file])
        #expect(result.end == .exited(1) && result.errors.contains("found no folder; wanted"))
    }

    @Test(arguments: [
        (["extra"], "unexpected 'extra'"),
        (["--since", "yesterday"], "'--since yesterday': wanted how long ago, such as 30s, 10min"),
        (["--since", "10"], "'--since 10'"), (["--since", "min"], "'--since min'"),
        (["--since", "-1h"], "'--since -1h'"), (["--since", "2026-11-21"], "'--since 2026-11-21'"),
        (["--since", "2026-02-29T00:00:00Z"], "'--since 2026-02-29T00:00:00Z'"),
        (["--since", "2026-11-21T03:00:00"], "'--since 2026-11-21T03:00:00'"),
        (["--since", "2026-11-21T24:00:00Z"], "'--since 2026-11-21T24:00:00Z'"),
        (["--lines", "-1"], "'--lines -1': wanted a number from 0 to 10000"),
        (["--summary", "--follow"], "found --summary and --follow; a summary is of all records"),
        (
            ["--summary", "--lines", "3"],
            "found --summary and --lines; a summary is of all records"
        ),
    ])
    func `wrong usage of logs ends with 64`(arguments: [String], sentence: String) throws {
        let result = try host.run(["logs"] + arguments + host.options)
        #expect(result.end == .exited(64))
        #expect(result.errors.contains(sentence), "\(result.errors)")
    }

    // MARK: Summary

    @Test func `shares leave forced requests out, and all else counts them`() throws {
        var records: [LogRecordText] = []
        let add = { (count: Int, split: String?, version: Int?, assignment: String?) in
            for _ in 0..<count {
                records.append(
                    .init {
                        ($0.split, $0.version, $0.assignment) = (split, version, assignment)
                        $0.subjects = ["\(records.count % 4)"]
                    }
                )
            }
        }
        add(2, "control", 1, "subject")
        add(9, "control", 1, "forced")
        add(1, "experiment", 2, "subject")
        add(5, "experiment", 3, "noSubject")
        for index in 12..<14 { records[index].status = 400 }
        records.append(.init { ($0.endpoint, $0.split, $0.version) = ("static", "fixed", nil) })
        records.append(.init { ($0.endpoint, $0.split) = ("unused", "a") })
        records[18].assignment = "forced"
        records.append(.init { ($0.split, $0.version, $0.status) = (nil, nil, 400) })
        records[19].subjects = []
        records.append(.init { ($0.endpoint, $0.split) = (nil, nil) })
        try write(1, records.map(\.line))
        let rows = try summary().map { row in
            [
                row["endpointName"]?.string ?? "-", row["backendName"]?.string ?? "-",
                row["deployment"]?["version"]?.unsigned.map(String.init) ?? "-",
                row["requests"]?.text ?? "", row["forced"]?.text ?? "", row["share"]?.text ?? "",
                row["errors"]?.text ?? "", row["rows"]?.text ?? "", row["subjects"]?.text ?? "",
            ]
        }
        let expected = [
            ["pricing", "control", "1", "11", "9", "0.25", "0", "11", "4"],
            ["pricing", "experiment", "2", "1", "0", "0.125", "0", "1", "1"],
            ["pricing", "experiment", "3", "5", "0", "0.625", "2", "5", "4"],
            ["pricing", "-", "-", "1", "0", "null", "1", "0", "0"],
            ["static", "fixed", "-", "1", "0", "1.0", "0", "1", "1"],
            ["unused", "a", "1", "1", "1", "null", "0", "1", "1"],
            ["-", "-", "1", "1", "0", "null", "0", "1", "1"],
        ]
        for (row, wanted) in zip(rows, expected) { #expect(row == wanted) }
        #expect(rows.count == expected.count)
    }

    @Test func `percentiles are exact by nearest rank`() throws {
        // 7 and 200 requests in no order; the second split's are 1,000 to 200,000 µs.
        let few = [700, 100, 300, 200, 600, 500, 400]
        var records = few.map { duration in LogRecordText { $0.microseconds = duration } }
        for number in 0..<200 {
            records.append(
                .init {
                    ($0.split, $0.microseconds) = ("experiment", (number * 77 % 200 + 1) * 1000)
                }
            )
        }
        records.append(.init { ($0.split, $0.microseconds) = ("slow", 5_000_000_000) })
        try write(1, records.map(\.line))
        let numbers = try summary().map { row in
            [50, 95, 99].map { row["p\($0)Microseconds"]?.unsigned }
        }
        #expect(numbers[0] == [400, 700, 700])
        #expect(numbers[1] == [100_000, 190_000, 198_000])
        #expect(numbers[2] == Array(repeating: UInt64(UInt32.max), count: 3))
    }

    @Test func `a record in parts is one request with all its rows and subjects`() throws {
        let parts = [["a", "b"], ["b", nil], ["c"]].enumerated().map { index, subjects in
            LogRecordText {
                ($0.subjects, $0.part, $0.status) = (subjects, index + 1, 500)
                $0.assignment = "forced"
            }
        }
        let others = ["x", "c"].map { subject in LogRecordText { $0.subjects = [subject] } }
        try write(1, (parts + others).map(\.line))
        let row = try #require(try summary().first)
        let names = ["requests", "rows", "subjects", "errors", "forced"]
        #expect(names.map { row[$0]?.unsigned } == [3, 7, 4, 1, 1])
        #expect(row["share"]?.text == "1.0")
    }

    @Test func `the table for people says the same and from when to when`() throws {
        var records = [
            "2026-11-21T03:00:01.000000Z", "2026-11-21T03:00:00.000001Z",
            "2026-11-21T04:00:00.000000Z", "2026-11-21T03:30:00.000000Z",
        ].map { time in LogRecordText { $0.time = time } }
        (records[3].split, records[3].version, records[3].status) = ("experiment", 2, 400)
        try write(1, records.map(\.line))
        let text = try logs(["--summary"]).output
        let lines = text.split(separator: "\n")
        #expect(
            lines[0] == "records from 2026-11-21T03:00:00.000001Z to 2026-11-21T04:00:00.000000Z"
        )
        #expect(
            lines[1...].map { cells($0) } == [
                [
                    "ENDPOINT", "SPLIT", "VERSION", "REQUESTS", "SHARE", "FORCED", "ROWS",
                    "SUBJECTS", "ERRORS", "ERROR SHARE", "P50 MS", "P95 MS", "P99 MS",
                ],
                [
                    "pricing", "control", "main/model/1", "3", "75.0 %", "0", "3", "1", "0",
                    "0.0 %", "1.000", "1.000", "1.000",
                ],
                [
                    "pricing", "experiment", "main/model/2", "1", "25.0 %", "0", "1", "1", "1",
                    "100.0 %", "1.000", "1.000", "1.000",
                ],
            ]
        )
        let row = try #require(try summary().first)
        #expect(row["from"]?.string == "2026-11-21T03:00:00.000001Z")
        #expect(row["to"]?.string == "2026-11-21T04:00:00.000000Z")
        #expect(
            row.object?.map(\.name) == [
                "endpointName", "backendName", "deployment", "requests", "rows", "subjects",
                "errors", "forced", "share", "p50Microseconds", "p95Microseconds",
                "p99Microseconds", "from", "to",
            ]
        )
        #expect(row["deployment"]?.text == #"{"branch":"main","name":"model","version":1}"#)
    }

    // MARK: Following

    @Test(arguments: [2, 15])
    func `following goes on over new files and half lines until a signal`(signal: CInt) throws {
        let lines = (1...9).map { number in
            LogRecordText {
                ($0.sequence, $0.id) = (number, "r\(number)")
                if number == 6 { $0.split = "experiment" }
            }.line
        }
        try write(1, Array(lines[..<3]))
        let child = try follow(["--json", "--lines", "2", "--split", "control"])
        let prints = { (wanted: [String]) in
            let text = wanted.joined()
            _ = eventually { child.standardOutput == text }
            return child.standardOutput == text
        }
        #expect(prints(Array(lines[1...2])))
        try write(1, [lines[3], String(lines[4].prefix(50))])
        #expect(prints(Array(lines[1...3])))
        // Long enough for two looks at the half line.
        MonotonicClock.sleep(nanoseconds: 500_000_000)
        #expect(child.standardOutput == lines[1...3].joined())
        try write(1, [String(lines[4].dropFirst(50))])
        try write(6, [lines[5], lines[6]])
        try File.remove("\(logs)/requests-000000000001.jsonl")
        // The removed file is still open where it was being read.
        #expect(prints(lines[1...4] + [lines[6]]))
        try write(8, [lines[7]])
        #expect(prints(Array(lines[1...4]) + lines[6...7]))
        try write(8, ["nonsense\n", lines[8]])
        #expect(prints(Array(lines[1...4]) + lines[6...8]))
        child.send(signal: signal)
        #expect(child.wait(seconds: 20) == .exited(0))
        #expect(child.standardOutput == (Array(lines[1...4]) + lines[6...8]).joined())
        #expect(child.standardError.contains("passed over 1 line that is no record"))
    }

    @Test func `following an empty log begins with its first record`() throws {
        let child = try follow([])
        MonotonicClock.sleep(nanoseconds: 300_000_000)
        #expect(child.standardOutput == "")
        try write(1, [LogRecordText { $0.id = "first" }.line])
        #expect(eventually { child.standardOutput.hasSuffix("first\n") })
        #expect(child.standardOutput.hasPrefix("TIME  "))
        child.send(signal: 15)
        #expect(child.wait(seconds: 20) == .exited(0))
    }

    @Test func `following ends when nobody reads the output any more`() throws {
        try write(1, [LogRecordText().line])
        let follow = "\(try Built.program) logs --follow --json --logs \(logs)"
        let child = try ChildProcess(
            executable: "/bin/sh",
            arguments: ["-c", "(\(follow); echo ended with $? >&2) | head -n 1"],
            environment: ["PATH=/usr/bin:/bin"]
        )
        #expect(child.wait(seconds: 20) == .exited(0))
        #expect(child.standardOutput == LogRecordText().line)
        #expect(child.standardError == "ended with 0\n")
    }

    // MARK: With a host

    @Test func `what a host has answered is what follow prints and the summary sums up`() throws {
        try host.folder.write(
            "endpoints/pricing_optimizer.yaml",
            """
            backends:
              control: {deployment: {name: pricing_model_v1, version: latest}, weight: 1}
              experiment: {deployment: {name: pricing_model_v2, version: latest}, weight: 3}
            experimentConfig: {experimentId: foo, subjectKey: user_id}
            schemaVersion: 1
            """
        )
        for name in ["pricing_model_v1", "pricing_model_v2"] { try host.deploy(name, name) }
        try host.start()
        // It may begin later than the load does.
        let child = try follow(["--json", "--lines", "10000"])
        let load = LoadClient(requests: 4000)
        try load.start(host.address)
        let answered = load.finish()
        #expect(answered.count == 4000 && load.errors.isEmpty, "\(load.errors)")
        _ = try Client(host.address).call("POST", "/v1/pricing_optimizer", body: "{")
        #expect(
            eventually { child.standardOutput.split(separator: "\n").count == 4001 },
            "\(child.standardOutput.split(separator: "\n").count)"
        )
        #expect(host.stop() == .exited(0))
        child.send(signal: 15)
        #expect(child.wait(seconds: 20) == .exited(0))
        var log = ""
        for name in try Directory.names(in: logs) where name.hasPrefix("requests-") {
            log += String(decoding: try File.read("\(logs)/\(name)", limit: 1 << 30), as: UTF8.self)
        }
        #expect(child.standardOutput == log)

        let rows = try summary(["--endpoint", "pricing_optimizer"])
        #expect(rows.map { $0["backendName"]?.string } == ["control", "experiment", nil])
        for row in rows.prefix(2) {
            let split = try #require(row["backendName"]?.string)
            let count = answered.count {
                $0.answer.json["split"]?["backendName"]?.string == split
            }
            for name in ["requests", "rows", "subjects"] {
                #expect(row[name]?.unsigned == UInt64(count), "\(split) \(name)")
            }
            #expect(row["share"]?.text == "\(Double(count) / 4000)")
            #expect(row["errors"]?.unsigned == 0 && row["forced"]?.unsigned == 0)
            let name = split == "control" ? "pricing_model_v1" : "pricing_model_v2"
            #expect(row["deployment"]?["name"]?.string == name)
        }
        #expect(rows[2]["requests"]?.unsigned == 1 && rows[2]["errors"]?.unsigned == 1)
        #expect(rows[2]["deployment"] == .null)
    }
}
