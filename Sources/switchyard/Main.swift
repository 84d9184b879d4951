// The program: finds the command, runs it, turns what it throws into a sentence and a status.

import Bytes
import Logging
import Platform
import PluginHost
import Serving

@main
enum Main {
    static func main() {
        SignalDescriptor.ignoreCallErrors()
        let line = Array(CommandLine.arguments.dropFirst())
        // What is stored is the host's to read, whatever the mask of whoever stores it.
        CurrentProcess.takeUsualMask()
        if line.first == PluginProbe.verb {
            let words = Array(line.dropFirst())
            CurrentProcess.exitNow(PluginProbe.runInChild(words, asking: PluginTrial.ask))
        }
        if line.first == WorkerProgram.verb {
            CurrentProcess.exitNow(WorkerProgram.run(Array(line.dropFirst())))
        }
        let status = run(line)
        flushEvents()
        CurrentProcess.exitNow(status.rawValue)
    }

    /// Gives events that wait a second to be read.
    static func flushEvents() {
        EventQueue.shared.flush(by: MonotonicClock.now() + 1_000_000_000)
    }

    static func run(_ line: [String]) -> ExitStatus {
        if line.contains(where: { $0.unicodeScalars.contains("\u{fffd}") }) {
            StandardStream.errors("switchyard: found an argument that is not UTF-8; wanted text\n")
            return .usage
        }
        guard let verb = line.first, !["--help", "-h", "help"].contains(verb) else {
            if line.isEmpty {
                StandardStream.errors(Command.overview)
                return .usage
            }
            return help(Array(line.dropFirst()))
        }
        let name = verb == "--version" ? "version" : verb
        guard let command = Command.all.first(where: { $0.name == name }) else {
            let guess = Suggestion.nearest(to: verb, in: Command.all.map(\.name))
            let hint = guess.map { "; did you mean '\($0)'?" } ?? ""
            StandardStream.errors(
                "switchyard: unknown command '\(Visible.line(String(verb.prefix(100))))'\(hint)\n"
                    + "'switchyard --help' lists the commands\n"
            )
            return .usage
        }
        let rest = Array(line.dropFirst())
        if rest.contains("--help") || rest == ["-h"] {
            StandardStream.output(command.help)
            return .success
        }
        return run(command, rest)
    }

    private static func help(_ words: [String]) -> ExitStatus {
        if let name = words.first, let command = Command.all.first(where: { $0.name == name }) {
            StandardStream.output(command.help)
        } else {
            StandardStream.output(Command.overview)
        }
        return .success
    }

    private static func run(_ command: Command, _ line: [String]) -> ExitStatus {
        do {
            return try command.run(Arguments(line, options: command.options))
        } catch {
            return complain(command, error)
        }
    }

    /// Says why a command has failed; its exit status.
    static func complain(_ command: Command, _ error: any Error) -> ExitStatus {
        switch error {
        case let error as UsageError:
            // What was typed stays on its line, and is not repeated at any length.
            let sentence = Visible.line(error.description)
            let shown = sentence.count > 1000 ? "\(sentence.prefix(1000))…" : sentence
            StandardStream.errors(
                "switchyard \(command.name): \(shown)\n"
                    + "usage: switchyard \(command.usage)\n"
                    + "'switchyard \(command.name) --help' tells more\n"
            )
            return .usage
        case let failure as StartFailure:
            complain(command, "\(failure)")
            if case .configuration = failure { return .configuration }
            return .failure
        case let failure as AdminFailure:
            complain(command, "\(failure)")
            return failure.status
        case let failure as CommitFailure:
            complain(command, "\(failure)")
            return .configuration
        default:
            complain(command, "\(error)")
            return .failure
        }
    }

    /// Prints what went wrong; names from files and arguments cannot steer the terminal.
    private static func complain(_ command: Command, _ text: String) {
        StandardStream.errors("switchyard \(command.name): \(Visible.lines(text))\n")
    }
}
