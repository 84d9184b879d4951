// The program behind `make bench`: it measures the stages of a request by themselves, in one
// process, so that a change can be seen where it was made. The servers are measured by `bench.py`.

import Platform

@main
enum Main {
    private static let usage = """
        usage: switchyard-bench stages [--only NAME --count N] | json FOLDER
        prints nanoseconds for each stage of a request, or runs one stage N times and prints
        nothing; or parses JSON documents, which it leaves in the folder

        """

    static func main() {
        do {
            let line = Array(CommandLine.arguments.dropFirst())
            let folder = try Directory.createTemporary(in: "/tmp", prefix: "switchyard-bench-")
            let end = Result { try run(line, folder) }
            try Directory.removeAll(folder)
            CurrentProcess.exitNow(try end.get())
        } catch {
            StandardStream.errors("switchyard-bench: \(error)\n")
            CurrentProcess.exitNow(1)
        }
    }

    private static func run(_ line: [String], _ folder: String) throws -> Int32 {
        if line == ["stages"] {
            StandardStream.output("| stage | what | ns |\n|---|---|--:|\n")
            for stage in try Stages.all(in: folder) {
                let nanoseconds = try Stopwatch.nanoseconds(of: stage)
                StandardStream.output("| \(stage.name) | \(stage.what) | \(nanoseconds) |\n")
            }
            return 0
        }
        if line.count == 5, line[0] == "stages", line[1] == "--only", line[3] == "--count",
            let count = Int(line[4]), count >= 0,
            let stage = try Stages.all(in: folder).first(where: { $0.name == line[2] })
        {
            _ = try stage.run(count)
            return 0
        }
        if line.count == 2, line[0] == "json" {
            try measureJSON(line[1])
            return 0
        }
        StandardStream.errors(usage)
        return 64
    }
}

/// Measures a stage: as often as ten milliseconds take, eleven times, and the median counts.
enum Stopwatch {
    private static let roundNanoseconds: UInt64 = 10_000_000
    private static let rounds = 11

    /// Nanoseconds of one operation, with one decimal.
    static func nanoseconds(of stage: Stage) throws -> String {
        var count = 64
        while try time(stage, count) < roundNanoseconds { count *= 2 }
        var times: [UInt64] = []
        for _ in 0..<rounds { times.append(try time(stage, count)) }
        let tenths = times.sorted()[rounds / 2] * 10 / UInt64(count)
        return "\(tenths / 10).\(tenths % 10)"
    }

    private static func time(_ stage: Stage, _ count: Int) throws -> UInt64 {
        let start = MonotonicClock.now()
        _ = try stage.run(count)
        return MonotonicClock.now() - start
    }
}
