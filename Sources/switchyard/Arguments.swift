// The words of a command line: options with and without a value, and what is left.

import Bytes
import Platform

/// One option of a command.
struct Option: Sendable {
    /// Without the dashes.
    let name: String
    /// What stands for its value in the help; nil: it takes none.
    let value: String?
    /// The environment variable that gives its value when the command line does not.
    let variable: String?
    let help: String

    init(_ name: String, value: String? = nil, variable: String? = nil, _ help: String) {
        self.name = name
        self.value = value
        self.variable = variable
        self.help = help
    }
}

/// A command line that cannot be understood; the program ends with status 64.
struct UsageError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A command line, understood.
struct Arguments {
    /// Values by option; options without a value have an empty one for each time they were given.
    private var values: [String: [String]] = [:]
    /// What is no option, in order.
    private(set) var words: [String] = []

    init(_ line: [String], options: [Option]) throws(UsageError) {
        var index = 0
        var onlyWords = false
        while index < line.count {
            let word = line[index]
            index += 1
            if onlyWords || !word.hasPrefix("--") {
                words.append(word)
                continue
            }
            if word == "--" {
                onlyWords = true
                continue
            }
            let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1).map(String.init)
            let name = parts.first ?? ""
            guard let option = options.first(where: { $0.name == name }) else {
                let guess = Suggestion.nearest(to: name, in: options.map(\.name))
                throw UsageError(
                    "unknown option '\(word)'\(guess.map { "; did you mean '--\($0)'?" } ?? "")"
                )
            }
            if option.value == nil {
                guard parts.count == 1 else { throw UsageError("'--\(name)' takes no value") }
                values[name, default: []].append("")
            } else if parts.count == 2 {
                values[name, default: []].append(parts[1])
            } else if index < line.count {
                values[name, default: []].append(line[index])
                index += 1
            } else {
                throw UsageError("'--\(name)' needs a value: --\(name) \(option.value ?? "")")
            }
        }
        for option in options where values[option.name] == nil {
            guard let variable = option.variable,
                let text = CurrentProcess.environment(variable), !text.isEmpty
            else { continue }
            values[option.name] = [text]
        }
    }

    /// Whether an option was given.
    func has(_ name: String) -> Bool { values[name] != nil }
    /// The last value of an option.
    func value(_ name: String) -> String? { values[name]?.last }
    /// Every value of an option.
    func all(_ name: String) -> [String] { values[name] ?? [] }

    /// The values of an option as addresses.
    func addresses(_ name: String) throws(UsageError) -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        for text in all(name) {
            guard let address = SocketAddress(text) else {
                throw UsageError(
                    "'--\(name) \(text)': wanted 127.0.0.1:8080, [::1]:8080 or unix:/path"
                )
            }
            addresses.append(address)
        }
        return addresses
    }

    /// The value of an option as a number in a range.
    func number(_ name: String, _ range: ClosedRange<Int>) throws(UsageError) -> Int? {
        guard let text = value(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(
                "'--\(name) \(text)': wanted a number from \(range.lowerBound) "
                    + "to \(range.upperBound)"
            )
        }
        return number
    }
}
