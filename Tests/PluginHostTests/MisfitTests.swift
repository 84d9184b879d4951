import JSON
import Platform
import PluginHost
import TestSupport
import Testing

/// Each misfit does one thing wrong, and gets the sentence that says so; the host goes on.
struct MisfitTests {
    private func bytes(_ plugin: String) throws -> [UInt8] {
        try File.read(Built.plugin(plugin), limit: 1 << 28)
    }

    /// The sentence for a file that is refused before it is opened.
    private func refusal(_ bytes: [UInt8]) -> PluginError? {
        do throws(PluginError) {
            _ = try PluginTag(of: ELFFile(path: "x.so", bytes: bytes))
            return nil
        } catch {
            return error
        }
    }

    private func probe(_ plugin: String, seconds: Double = 30) throws -> PluginError? {
        let request = ProbeRequest(
            file: try Built.plugin(plugin),
            shownAs: "x.so",
            name: "n",
            version: 1,
            settings: "{}",
            resources: ""
        )
        let probe = PluginProbe(executable: try Built.program, secondsMaximum: seconds)
        do throws(PluginError) {
            _ = try probe.run(request)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a plugin without a tag is refused before it is opened`() throws {
        #expect(
            refusal(try bytes("misfit_no_tag"))?.description
                == "x.so: found no symbol model_plugin_abi; wanted the tag of a model plugin; write "
                + "MODEL_PLUGIN_TAG once in a C plugin, or link the target CModelTag (SwiftPM)"
        )
    }

    @Test func `a plugin for a newer major is refused before it is opened`() throws {
        #expect(
            refusal(try bytes("misfit_newer_major"))?.description
                == "x.so: found a plugin for contract 2.0; wanted 1.0 or an older minor; update this host, or "
                + "build the plugin with an older model_plugin.h"
        )
    }

    @Test func `code for another machine is refused before it is opened`() throws {
        var bytes = try bytes("thirty_lines")
        bytes[18] = 0xf3  // EM_RISCV
        bytes[19] = 0
        #expect(
            refusal(bytes)?.description.hasPrefix(
                "x.so: found code for machine 243; wanted code for"
            )
                == true
        )
    }

    @Test(arguments: [
        ("misfit_truncated_table", "found a table of 56 bytes; wanted at least 64"),
        ("misfit_null_function", "found a table without predict; wanted every required function"),
        (
            "misfit_crash_in_constructor",
            "found a build that was ended by signal 6 (Aborted) while it was opened"
        ),
        (
            "misfit_exit_in_constructor",
            "found a build that ended its process (exited with status "
        ),
    ])
    func `a build that fails when it is tried is refused with the reason`(
        plugin: String,
        reason: String
    ) throws {
        let error = try #require(try probe(plugin))
        #expect(error.description.hasPrefix("x.so: \(reason)"), "\(error)")
    }

    @Test func `a build that hangs in create is refused after the limit`() throws {
        let error = try #require(try probe("misfit_hang_in_create", seconds: 3))
        #expect(error.found == "a build that was not done after 3.0 s in create()")
    }

    @Test(arguments: ["thirty_lines", "reading_model", "codable_model", "pricing_model_v1"])
    func `a good build passes the probe`(plugin: String) throws {
        let error = try probe(plugin)
        #expect(error == nil, "\(String(describing: error))")
    }

    @Test(arguments: ["pricing_model_v1", "pricing_model_v2", "reading_model", "codable_model"])
    func `a Swift plugin carries its runtime and shows two symbols`(plugin: String) throws {
        let file = try ELFFile(path: "x.so", bytes: try bytes(plugin))
        #expect(file.exportedNames.sorted() == ["model_plugin_abi", "model_plugin_entry"])
        #expect(!file.neededLibraries.contains { $0.contains("swift") }, "\(file.neededLibraries)")
    }

    @Test func `files that are no plugins each get a sentence`() throws {
        let good = try bytes("thirty_lines")
        #expect(refusal([])?.found == "no ELF file")
        #expect(refusal(Array("#!/bin/sh\n".utf8) + good)?.found == "no ELF file")
        var other = good
        other[4] = 1
        #expect(refusal(other)?.found == "a 32-bit library")
        let program = try File.read("/bin/true", limit: 1 << 24)
        #expect(refusal(program)?.found == "an executable (it names a program interpreter)")
        for count in [64, 100, 1000, good.count / 2, good.count - 1] {
            #expect(refusal(Array(good[..<count])) != nil, "cut at \(count)")
        }
    }

    @Test func `an executable stack and writable code are refused`() throws {
        let good = try bytes("thirty_lines")
        for (type, flag, found) in [
            (UInt32(0x6474_e551), UInt8(7), "an executable stack"),
            (1, 7, "a segment that is writable and executable"),
        ] {
            var bytes = good
            let table = Int(bytes[32]) | Int(bytes[33]) << 8
            for index in 0..<Int(bytes[56]) {
                let at = table + index * 56
                let kind = (0..<4).reduce(UInt32(0)) {
                    $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1)
                }
                if kind == type { bytes[at + 4] = flag }
            }
            #expect(refusal(bytes)?.found == found)
        }
    }

    @Test func `two thousand mutations of a good file never trap the check`() throws {
        let good = try bytes("thirty_lines")
        let seed = UInt64.random(in: .min ... .max)
        var state = seed
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var refused = 0
        for _ in 0..<2000 {
            var bytes = good
            // Most mutations hit the headers and the dynamic section, where the offsets are.
            for _ in 0..<1 + next(8) {
                bytes[next(next(2) == 0 ? 4096 : bytes.count)] = UInt8(next(256))
            }
            if next(10) == 0 { bytes = Array(bytes[..<next(bytes.count)]) }
            if refusal(bytes) != nil { refused += 1 }
        }
        #expect(refused > 100, "seed \(seed)")
    }

    @Test func `what is not a regular file is not read`() throws {
        for path in ["/tmp", "/dev/null", "/nowhere"] {
            let error = #expect(throws: PluginError.self) {
                try PluginProbe.readFile(path, shownAs: "x.so")
            }
            #expect(error?.file == "x.so")
        }
    }
}
