import JSON
import Platform
import TestSupport
import Testing

/// The guide's session, typed as it stands there: what is printed is what the guide shows, but for
/// what is another one each time (times, hashes, ids, ports).
struct GuideTests {
    /// A command of the guide, and what it shows behind it.
    private struct Step {
        let command: String
        var output = ""
    }

    /// The commands of a section, in order.
    private func steps(_ section: String) throws -> [Step] {
        let bytes = try File.read("\(Built.repository)/README.md", limit: 1 << 20)
        let text = String(decoding: bytes, as: UTF8.self)
        let start = try #require(text.firstRange(of: "\n\(section)\n")).lowerBound
        var steps: [Step] = []
        var isCode = false
        for line in text[start...].split(separator: "\n", omittingEmptySubsequences: false)
            .dropFirst()
        {
            if line.hasPrefix("## ") && !steps.isEmpty { break }
            if line.hasPrefix("```") {
                isCode.toggle()
            } else if isCode, line.hasPrefix("$ ") {
                steps.append(Step(command: String(line.dropFirst(2))))
            } else if isCode, !steps.isEmpty {
                steps[steps.count - 1].output += "\(line)\n"
            }
        }
        return steps
    }

    /// The text without what is another one each time.
    private func lasting(_ text: String) -> String {
        text.replacing(#/\d{4}-\d\d-\d\dT[0-9:.]+Z/#, with: "TIME")
            .replacing(#/[0-9a-f]{12}-\d+-\d+/#, with: "ID")
            .replacing(#/[0-9a-f]{64}/#, with: "HASH")
            .replacing(#/sha256 [0-9a-f]{12}/#, with: "sha256 HASH")
            .replacing(#/127\.0\.0\.1:\d+/#, with: "ADDRESS")
            .replacing(#/process \d+, up \d+ s/#, with: "process ID, up TIME")
            .replacing(#/"(processId|uptimeSeconds|sequence|connections|waitingBytes)":\d+/#) {
                "\"\($0.1)\":N"
            }
            .replacing(#/"\w+Microseconds":\d+/#, with: "MICROSECONDS")
            .replacing(#/\d+\.\d{3}( ms)?/#, with: "MS")
            .replacing(#/example-\d+/#, with: "SUBJECT")
            .replacing(#/: \d+ connections, \d+ loops/#, with: ": N connections, N loops")
            .replacing(#/"loops":\d+/#, with: "LOOPS")
            .replacing(#/user \d+/#, with: "user N")
            .replacing(#/ at \d\d:\d\d/#, with: " at TIME")
            .replacing(#/kept for \d+ s/#, with: "kept for N s")
            .replacing(#/"threads":\d+/#, with: "THREADS")
            // A debug build's models may be slow.
            .replacing(#/"runsOn":"\w+"/#, with: "PLACE")
            .replacing(#/[- ] +/#, with: " ")
    }

    private func shell(
        _ command: String,
        _ host: HostProcess,
        _ environment: [String]
    ) throws -> String {
        let child = try ChildProcess(
            executable: "/bin/sh",
            arguments: ["-c", "cd \(host.folder.path) && { \(command); } 2>&1"],
            environment: environment + ["PATH=\(try Built.folder):/usr/bin:/bin"]
        )
        #expect(child.wait(seconds: 60) != nil, "\(command) has no end")
        return child.standardOutput
    }

    @Test func `the session with a running host prints what the guide shows`() throws {
        let host = try HostProcess()
        for name in ["predict_fraud", "pricing_optimizer", "tumor_screening"] {
            let text = try File.read("\(Built.repository)/endpoints/\(name).yaml", limit: 1 << 20)
            try host.folder.write("endpoints/\(name).yaml", String(decoding: text, as: UTF8.self))
        }
        for name in ["echo", "pricing_model_v1", "pricing_model_v2"] { try host.deploy(name, name) }
        let trees = "\(Built.repository)/Plugins/tumor_classifier/resources"
        try host.deploy("tumor_classifier", "tumor_classifier_v1")
        try host.deploy("tumor_classifier", "tumor_classifier_v2", ["--resources", trees])
        for version in 1...2 { try host.deploy("fraud_detection", "fraud_detection_v\(version)") }
        for (alias, version) in [("v1", "1"), ("auto_deploy_api", "2")] {
            let words = ["alias", "set", "fraud_detection", alias, version]
            #expect(try host.run(words + host.options).end == .exited(0))
        }
        _ = try shell("mkdir .build; ln -s \(try Built.folder) .build/release", host, [])
        try host.start()
        let environment = ["SWITCHYARD_HOST=\(host.address)"]
        let steps = try steps("## Changing a running host")
        #expect(steps.count > 25)
        for step in steps {
            // The log's writer is given a moment.
            if step.command.contains("logs") { MonotonicClock.sleep(nanoseconds: 500_000_000) }
            let printed = try shell(step.command, host, environment)
            let shown = lasting(step.output)
            let here = printed.replacing("\(host.folder.path)/", with: "")
            #expect(lasting(here) == shown, "$ \(step.command)")
        }
        #expect(host.stop() == .exited(0))
    }
}
