import JSON
import Platform
import TestSupport
import Testing

/// Files that are changed under a running host: nothing happens until a reload, and then either the
/// new state or an error.
struct TamperTests {
    private static let endpoint = """
        schemaVersion: 1
        backends:
          mapped: {deployment: {name: mapped, version: 1}}
          latest: {deployment: {name: pricing, version: latest}, weight: 0}

        """

    /// What happens to a file.
    enum Damage: String, CaseIterable, Sendable {
        case overwritten, truncated, deleted, replaced, unreadable

        func happen(to path: String) throws {
            switch self {
            case .overwritten:
                let bytes = try File.read(path, limit: 1 << 28)
                try write([UInt8](repeating: 0x20, count: bytes.count), path)
            case .truncated: try write([], path)
            case .deleted: try File.remove(path)
            case .replaced:
                try File.remove(path)
                try File.writeNew(path, Array("no: thing\n".utf8))
            case .unreadable:
                try File.remove(path)
                try Directory.create(path)
            }
        }

        /// Writes into the very file that is there, as an editor may.
        private func write(_ bytes: [UInt8], _ path: String) throws {
            try File.setMode(path, 0o644)
            let child = try ChildProcess(
                executable: "/bin/sh",
                arguments: [
                    "-c", "head -c \(bytes.count) /dev/zero | tr '\\0' ' ' > \"$0\"", path,
                ],
                environment: ["PATH=/usr/bin:/bin"]
            )
            guard child.wait(seconds: 10) == .exited(0) else {
                throw ClientError(description: "\(path): \(child.standardError)")
            }
        }
    }

    /// Every file that an admin or an author could touch.
    private static let files = [
        "endpoints/e.yaml", "deployments/main/mapped/1/plugin.so",
        "deployments/main/mapped/1/manifest.yaml", "deployments/main/mapped/1/resources/data",
        "deployments/main/mapped/deployment.yaml", "deployments/main/pricing/2/plugin.so",
        "deployments/main/pricing/2/manifest.yaml",
    ]

    private func host() throws -> HostProcess {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", Self.endpoint)
        try host.folder.write("resources/data", String(repeating: "a", count: 100_000))
        try host.deploy("mapped", "life_model", ["--resources", "\(host.folder.path)/resources"])
        try host.deploy("pricing", "thirty_lines")
        try host.deploy("pricing", "pricing_model_v1")
        #expect(
            try host.run(["alias", "set", "mapped", "prod", "1"] + host.options).end == .exited(0)
        )
        return host
    }

    @Test(arguments: Damage.allCases)
    func `what happens to files changes nothing until a reload, and never ends the host`(
        damage: Damage
    ) throws {
        for file in Self.files {
            let host = try host()
            try host.start()
            let client = try Client(host.address)
            func expectTheOld(_ when: String) throws {
                for split in ["mapped", "latest"] {
                    let answer = try client.call(
                        "POST",
                        "/v1/e",
                        fields: ["X-Switchyard-Force-Backend: \(split)"],
                        body: "{\"data\": {\"user_id\": 1, \"category\": \"x\", \"price\": 1,"
                            + " \"quantity\": 1}}"
                    )
                    #expect(answer.status == 200, "\(file) \(when): \(answer.text)")
                    let version = answer.json["split"]?["deployment"]?["version"]?.unsigned
                    #expect(version == (split == "mapped" ? 1 : 2), "\(file) \(when)")
                    if split == "mapped" { #expect(answer.json["data"]?.unsigned == 9_700_000) }
                }
            }
            try expectTheOld("before")
            try damage.happen(to: "\(host.folder.path)/\(file)")
            try expectTheOld("damaged")
            let reload = try host.run(["reload", "--json"] + host.options)
            let answer = try JSONValue(parsing: Array(reload.output.utf8))
            // An endpoint or an alias that is not there any more is a state like another one, and
            // `latest` passes over what is broken; what is named must be whole.
            let maySaySo = ["endpoints/e.yaml", "deployments/main/mapped/deployment.yaml"]
            let isFine =
                file.contains("pricing/2") || damage == .deleted && maySaySo.contains(file)
            #expect((answer["code"]?.string == "commit_failed") == !isFine, "\(file), \(damage)")
            if answer["code"]?.string == "commit_failed" {
                #expect(reload.end == .exited(78))
                let errors = answer["errors"]?.array?.compactMap(\.string) ?? []
                #expect(!errors.isEmpty)
                try expectTheOld("after a reload that failed")
            } else {
                // What was passed over is said, and the status says that something was.
                let isWhole = answer["warnings"]?.array?.isEmpty ?? true
                #expect(
                    reload.end == .exited(isWhole ? 0 : 1),
                    "\(file): \(reload.output)\(reload.errors)"
                )
                // The new state: an endpoint without its file is gone, `latest` is older.
                let outcome = answer["outcome"]?.string
                #expect(outcome == "committed" || outcome == "unchanged", "\(file)")
                #expect(try client.call("GET", "/health/live").status == 200)
            }
            #expect(host.stop() == .exited(0), "\(file), \(damage)")
        }
    }
}
