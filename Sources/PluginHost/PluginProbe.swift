// Trying an unknown build in a process that may die of it.
//
// Opening a library runs its constructors; `create` runs the author's code for the first time. A
// build that crashes, hangs or calls exit() there must do so in a throw-away process. The parent
// runs this same program with the verb `probe-plugin`; the child says on its standard output how
// far it has come, so that the parent can say where it ended.

import Platform

/// What is probed: a build with the name, settings and resources that it will be made with.
package struct ProbeRequest: Equatable, Sendable {
    /// The file to open.
    package let file: String
    /// The path that sentences name.
    package let shownAs: String
    package let name: String
    package let version: Int
    package let settings: String
    package let resources: String
    /// JSON text: a list of the `data` of requests that the model is asked with beside its own
    /// examples.
    package let examples: String
    /// The `data` of a request that the model is asked with, as JSON; nil: it is not asked.
    package let data: String?

    package init(
        file: String,
        shownAs: String,
        name: String,
        version: Int,
        settings: String,
        resources: String,
        examples: String = "[]",
        data: String? = nil
    ) {
        self.file = file
        self.shownAs = shownAs
        self.name = name
        self.version = version
        self.settings = settings
        self.resources = resources
        self.examples = examples
        self.data = data
    }
}

/// Probes plugins.
package struct PluginProbe: Sendable {
    /// The verb by which the program runs `runInChild`.
    package static let verb = "probe-plugin"
    /// Bytes of a plugin's file.
    package static let fileBytesMaximum = 1 << 30

    /// The program to run: this one, as a rule.
    package let executable: String
    /// How long a probe may take.
    package let secondsMaximum: Double

    package init(
        executable: String = CurrentProcess.programFile,
        secondsMaximum: Double = 30
    ) {
        self.executable = executable
        self.secondsMaximum = secondsMaximum
    }

    private enum Stage: String, CaseIterable {
        case opening, creating, predicting, destroying, done

        var words: String {
            switch self {
            case .opening: "while it was opened (its constructors and its entry)"
            case .creating: "in create()"
            case .predicting: "in predict()"
            case .destroying: "in destroy()"
            case .done: "after destroy()"
            }
        }
    }

    /// What a probe that went well has found.
    package struct Outcome: Sendable {
        /// What `describe` said.
        package let description: [UInt8]
        /// The body of the answer, if the model was asked.
        package let answer: [UInt8]?
        /// The model's log lines.
        package let log: String
    }

    /// Runs the probe, or throws the sentence for the author.
    package func run(_ request: ProbeRequest) throws(PluginError) -> Outcome {
        // What the plugin prints must not pass for the child's own report.
        let nonce = String(UInt64.random(in: .min ... .max), radix: 36)
        let child: ChildProcess
        do {
            child = try ChildProcess(
                executable: executable,
                name: "switchyard-trial",
                arguments: [
                    Self.verb, nonce, request.file, request.shownAs, request.name,
                    String(request.version), request.settings, request.resources,
                    request.examples,
                ] + (request.data.map { [$0] } ?? []),
                environment: ["PATH=/usr/bin:/bin", "SWIFT_BACKTRACE=enable=no", "LC_ALL=C"]
            )
        } catch {
            throw refuse(request, "no way to start the probe: \(error)", "free memory or processes")
        }
        let end = child.wait(seconds: secondsMaximum, isPatient: true)
        let lines = child.standardOutput.utf8.split(separator: 0x0a).compactMap { line in
            let text = String(line) ?? ""
            return text.hasPrefix("\(nonce) ") ? String(text.dropFirst(nonce.count + 1)) : nil
        }
        func text(_ mark: String) -> [UInt8]? {
            lines.last { $0.hasPrefix(mark) }.map { Array($0.utf8.dropFirst(mark.utf8.count)) }
        }
        let stage = lines.compactMap { Stage(rawValue: $0) }.last ?? .opening
        switch end {
        case nil:
            throw refuse(
                request,
                "a build that was not done after \(secondsMaximum) s \(stage.words)",
                "look for an endless loop or a lock"
            )
        case .signalled:
            throw refuse(
                request,
                "a build that \(end?.description ?? "") \(stage.words)",
                "run it under a debugger or AddressSanitizer"
            )
        case .exited(0) where stage == .done && text(Self.descriptionMark) != nil:
            return Outcome(
                description: text(Self.descriptionMark) ?? Array("{}".utf8),
                answer: text(Self.answerMark),
                log: child.standardError
            )
        case .exited(1) where !child.standardError.isEmpty && stage != .done:
            throw PluginError(encoded: child.standardError)
                ?? refuse(request, "a build that ended its process \(stage.words)", Self.noExit)
        case .exited:
            throw refuse(
                request,
                "a build that ended its process (\(end?.description ?? "")) \(stage.words)",
                Self.noExit
            )
        }
    }

    private static let descriptionMark = "description "
    private static let answerMark = "answer "
    private static let noExit = "a plugin must not call exit(); return NULL or a status instead"

    private func refuse(_ request: ProbeRequest, _ found: String, _ advice: String) -> PluginError {
        PluginError(
            file: request.shownAs,
            found: found,
            wanted: "a build that can be opened, created, asked and destroyed",
            advice: advice
        )
    }

    /// Asks a model in the child: with the `data` of a request, and then returns the body of the
    /// answer; without it with the model's own examples and the given list of further ones, and
    /// throws a sentence for one that fails.
    package typealias Asking = (
        _ instance: ModelInstance, _ data: String?, _ examples: String
    ) throws -> [UInt8]?

    /// What the child does. Arguments are those behind the verb. Returns the exit status.
    package static func runInChild(_ arguments: [String], asking: Asking) -> CInt {
        guard (8...9).contains(arguments.count), let version = Int(arguments[4]) else {
            StandardStream.errors("\(verb): for the host's own use\n")
            return 64
        }
        let (file, shownAs, name) = (arguments[1], arguments[2], arguments[3])
        let report = { (text: String) in StandardStream.output("\n\(arguments[0]) \(text)\n") }
        do {
            report(Stage.opening.rawValue)
            let bytes = try readFile(file, shownAs: shownAs)
            let plugin = try Plugin(path: file, bytes: bytes, shownAs: shownAs)
            report(Stage.creating.rawValue)
            let instance = try ModelInstance(
                plugin: plugin,
                name: name,
                version: version,
                settings: arguments[5],
                resources: arguments[6],
                log: { level, _, text in
                    if arguments.count == 9 { StandardStream.errors("\(level): \(text)\n") }
                }
            )
            report("\(descriptionMark)\(oneLine(plugin.description))")
            report(Stage.predicting.rawValue)
            let data = arguments.count == 9 ? arguments[8] : nil
            if let answer = try asking(instance, data, arguments[7]) {
                report("\(answerMark)\(oneLine(answer))")
            }
            // A host asks it again and again; what it says here does not matter.
            _ = instance.askHealth()
            report(Stage.destroying.rawValue)
            instance.destroy()
            report(Stage.done.rawValue)
            return 0
        } catch let error as PluginError {
            StandardStream.errors(error.encoded)
            return 1
        } catch {
            let fault = PluginError(
                file: shownAs,
                found: "\(error)",
                wanted: "a model that this host runs and that answers its own examples",
                advice: "correct the model, or what it says of itself"
            )
            StandardStream.errors(fault.encoded)
            return 1
        }
    }

    /// JSON text without line ends, which stand only between its tokens.
    private static func oneLine(_ json: [UInt8]) -> String {
        let bytes = json.map { $0 == 0x0a || $0 == 0x0d ? 0x20 : $0 }
        return String(decoding: bytes.drop { $0 == 0x20 }, as: UTF8.self)
    }

    /// Reads a plugin's file; the error names what is wrong with it.
    package static func readFile(_ path: String, shownAs: String) throws(PluginError) -> [UInt8] {
        do {
            return try File.read(path, limit: fileBytesMaximum)
        } catch {
            let kind = (try? File.facts(path))?.kind
            let found = kind == nil || kind == .regular ? "\(error)" : kind?.rawValue ?? "nothing"
            throw PluginError(
                file: shownAs,
                found: found,
                wanted: "a readable regular file of at most \(fileBytesMaximum) bytes",
                advice: "name the shared library that the build made"
            )
        }
    }
}

extension PluginError {
    /// One line that `init(encoded:)` reads.
    var encoded: String {
        [file, found, wanted, advice]
            .map { String($0.map { $0 == "\u{1f}" || $0 == "\n" ? " " : $0 }) }
            .joined(separator: "\u{1f}") + "\n"
    }

    init?(encoded: String) {
        guard let line = encoded.split(separator: "\n").last else { return nil }
        let parts = line.split(separator: "\u{1f}", omittingEmptySubsequences: false).map(
            String.init
        )
        guard parts.count == 4 else { return nil }
        self.init(file: parts[0], found: parts[1], wanted: parts[2], advice: parts[3])
    }
}
