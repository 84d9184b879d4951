// A file of JSON lines that few write to and nobody waits for long: who has changed what, and who
// was refused.

import Bytes
import Logging
package import Platform

/// Appends to `<folder>/<name>.jsonl`; older files are `<name>-<time>.jsonl`.
package final class RotatingFile: Sendable {
    private let folder: String
    private let name: String
    private let bytesMaximum: Int
    private let filesKept: Int
    /// Held while a line is written, so that lines of several threads do not mix.
    private let turn = Guarded<Void>(())

    /// - Parameters:
    ///   - bytesMaximum: of a file before the next one is begun.
    ///   - filesKept: how many older ones stay.
    package init(folder: String, name: String, bytesMaximum: Int, filesKept: Int) {
        self.folder = folder
        self.name = name
        self.bytesMaximum = bytesMaximum
        self.filesKept = filesKept
    }

    package var path: String { "\(folder)/\(name).jsonl" }

    /// Appends one line, with its end, whole or not at all; returns why that was not possible.
    package func append(_ line: [UInt8]) -> SystemError? {
        turn.withLock { _ in
            do throws(SystemError) {
                try createFolder()
                if let facts = try? File.facts(path), facts.size >= bytesMaximum { try rotate() }
                let file = try File.open(path, access: .append, mode: 0o640)
                // Commands beside the host write here too, as root now and then.
                if CurrentProcess.user == 0 { try? File.giveToOwner(of: folder, file) }
                try File.waitForLock(file)
                // What a line left behind that found no room is cut off.
                let size = try File.facts(path).size
                do throws(SystemError) {
                    try file.writeAll(line.span)
                } catch {
                    try? file.truncate(to: size)
                    throw error
                }
                return nil
            } catch {
                return error
            }
        }
    }

    /// Makes the folder where there is none. A command of root's that is the first to write there
    /// gives it to whoever owns the folder around it: the host must be able to.
    private func createFolder() throws(SystemError) {
        guard !File.exists(folder) else { return }
        try Directory.createAll(folder)
        guard CurrentProcess.user == 0, let opened = try? File.open(folder, access: .read) else {
            return
        }
        try? File.giveToOwner(of: Path.folder(of: folder), opened)
    }

    private func rotate() throws(SystemError) {
        try File.rename(path, to: "\(folder)/\(name)-\(Timestamp.text(.now())).jsonl")
        let old = try Directory.names(in: folder)
            .filter { $0.hasPrefix("\(name)-") && $0.hasSuffix(".jsonl") }
        for old in old.dropLast(filesKept) { try? File.remove("\(folder)/\(old)") }
    }
}
