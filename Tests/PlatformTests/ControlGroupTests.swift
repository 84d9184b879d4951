import Platform
import TestSupport
import Testing

/// What a container gives of its machine.
struct ControlGroupTests {
    private func group(_ files: [String: String], _ membership: String) throws -> ControlGroup {
        let folder = try TemporaryFolder()
        for (name, text) in files { try folder.write(name, text) }
        defer { withExtendedLifetime(folder) {} }
        return ControlGroup(root: folder.path, membership: membership)
    }

    @Test(
        arguments: [
            ("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 2), ("400000 100000", 4),
            ("max 100000", nil), ("", nil), ("nonsense", nil), ("0 100000", nil),
        ] as [(String, Int?)]
    )
    func `a quota is so many processors, rounded up`(text: String, count: Int?) throws {
        let group = try group(["a/b/cpu.max": "\(text)\n"], "0::/a/b\n")
        #expect(group.processors == count)
        #expect(group.memoryBytes == nil)
    }

    @Test func `the least of a group and of those above it counts`() throws {
        let group = try group(
            [
                "cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n",
                "a/b/cpu.max": "max 100000\n",
                "a/memory.max": "1000000\n", "a/b/memory.max": "4000000\n", "memory.max": "max\n",
            ],
            "0::/a/b\n"
        )
        #expect(group.processors == 2)
        #expect(group.memoryBytes == 1_000_000)
    }

    @Test func `a container that sees its own group as the root is limited too`() throws {
        let group = try group(
            ["cpu.max": "100000 100000\n", "memory.max": "314572800\n"],
            "0::/\n"
        )
        #expect(group.processors == 1 && group.memoryBytes == 314_572_800)
    }

    @Test func `groups of version 1 count too`() throws {
        let group = try group(
            [
                "cpu/x/cpu.cfs_quota_us": "300000\n", "cpu/x/cpu.cfs_period_us": "100000\n",
                "memory/x/memory.limit_in_bytes": "2097152\n",
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
            ],
            "4:cpu,cpuacct:/x\n3:memory:/x\n"
        )
        #expect(group.processors == 3 && group.memoryBytes == 2_097_152)
    }

    @Test func `without groups there is no limit`() throws {
        let group = try group([:], "")
        #expect(group.processors == nil && group.memoryBytes == nil)
    }
}
