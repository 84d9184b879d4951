// Where the tests find what the build made, and where they may write.

import Platform

/// Files that the build made.
package enum Built {
    /// The folder of the running test program: everything built lies beside it.
    package static var folder: String {
        get throws { Path.folder(of: try CurrentProcess.executable()) }
    }

    /// The program under test.
    package static var program: String {
        get throws { "\(try folder)/switchyard" }
    }

    /// A plugin's shared library.
    package static func plugin(_ name: String) throws -> String {
        "\(try folder)/lib\(name).so"
    }

    /// The top folder of the repository.
    package static let repository: String = {
        var path = Path.folder(of: Path.absolute(#filePath))
        while !File.exists("\(path)/Package.swift"), path != "/" { path = Path.folder(of: path) }
        return path
    }()
}

/// A folder that is removed with the last reference to it.
package final class TemporaryFolder: Sendable {
    package let path: String

    package init() throws {
        path = try Directory.createTemporary(in: "/tmp", prefix: "switchyard-test-")
    }

    deinit {
        try? Directory.removeAll(path)
    }

    /// Writes a file below the folder, making the folders above it.
    @discardableResult
    package func write(_ name: String, _ text: String) throws -> String {
        let file = "\(path)/\(name)"
        try Directory.createAll(Path.folder(of: file))
        try? File.remove(file)
        try File.writeNew(file, Array(text.utf8))
        return file
    }
}

/// Numbers that a long run multiplies.
package enum Storm {
    /// Whether this is the long run (`make storm`).
    package static let isFull = CurrentProcess.environment("SWITCHYARD_STORM") == "1"

    /// The full count in a storm, else a fiftieth of it, but at least `least`.
    package static func count(_ full: Int, least: Int = 1) -> Int {
        isFull ? full : max(least, full / 50)
    }
}

/// Waits until something is so; the time is only a bound against hanging.
package func eventually(seconds: Double = 20, _ condition: () throws -> Bool) rethrows -> Bool {
    let limit = MonotonicClock.now() + UInt64(seconds * 1e9)
    while MonotonicClock.now() < limit {
        if try condition() { return true }
        MonotonicClock.sleep(nanoseconds: 2_000_000)
    }
    return try condition()
}
