import Bytes
import Endpoints
import JSON
import Platform
import PluginHost
import Serving

extension Command {
    static let predict = Command(
        name: "predict",
        summary: "ask a running host, or a plugin build without a host",
        usage: """
            predict NAME DATA | predict ENDPOINT --examples [--count N] | \
            predict --plugin PLUGIN.so DATA
            """,
        text: """
            DATA is the 'data' of a request, as JSON: an object, a list of arguments, or a list of
            rows. NAME is an endpoint, DEPLOYMENT/VERSION or DEPLOYMENT/BRANCH/VERSION; prints the
            host's answer.
            --examples sends the examples of the models behind an endpoint and prints which split
            answered each, and each split's share beside its weight: the running host's, or the
            file's (IN FILE) with --file or where no host runs with this --state. What goes beyond
            their number repeats them with other subjects: example-1, example-2 and so on.
            --plugin asks a build in a process of its own.
            """,
        options: folders + [
            HostClient.option, Option("force", value: "SPLIT", "the split that shall answer"),
            Option("examples", "send the models' examples"), fileOption,
            Option("count", value: "N", "how many (default: each example once)"),
            Option("plugin", value: "PLUGIN.so", "the build to ask"),
        ] + pluginOptions + HostClient.adminOptions,
        run: { arguments in
            if let plugin = arguments.value("plugin") { return try ask(plugin, arguments) }
            let host = try HostClient(arguments)
            if arguments.has("examples") {
                guard arguments.words.count == 1 else { throw UsageError("wanted an endpoint") }
                return try ExampleRun(arguments.words[0], arguments).run(host)
            }
            guard arguments.words.count == 2 else {
                throw UsageError("wanted a name and the data: '{\"price\": 1}'")
            }
            let name = arguments.words[0]
            guard name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "?") }) else {
                throw UsageError("'\(name)' is no name")
            }
            let answer = try host.predict(
                name,
                data: json(arguments.words[1]),
                force: force(arguments)
            )
            StandardStream.output(Visible.json(String(decoding: answer.body, as: UTF8.self)) + "\n")
            return answer.status == 200 ? .success : .failure
        }
    )

    /// The split that the command line forces.
    static func force(_ arguments: Arguments) throws(UsageError) -> String? {
        guard let force = arguments.value("force") else { return nil }
        guard Names.isName(force) else { throw UsageError("'--force \(force)' is no split's name") }
        return force
    }

    /// Bytes of data for a plugin: they are handed over on a command line.
    private static let dataBytesMaximum = 100_000

    /// Checked JSON text.
    private static func json(_ text: String) throws(UsageError) -> String {
        do {
            let value = try JSONValue(parsing: Array(text.utf8))
            if let members = value.object, members.count == 1, members[0].name == "data" {
                throw UsageError(
                    "DATA is what stands behind \"data\" in a request: leave '{\"data\": …}' out"
                )
            }
            return text
        } catch let error as UsageError {
            throw error
        } catch {
            throw UsageError("the data is not JSON: \(error); put it in single quotes")
        }
    }

    private static func ask(_ plugin: String, _ arguments: Arguments) throws -> ExitStatus {
        guard arguments.words.count == 1 else {
            throw UsageError("wanted the data: '{\"price\": 1}'")
        }
        let data = try json(arguments.words[0])
        guard data.utf8.count <= dataBytesMaximum else {
            throw UsageError("the data has \(data.utf8.count) bytes; wanted \(dataBytesMaximum)")
        }
        _ = try PluginTag(
            of: ELFFile(path: plugin, bytes: PluginProbe.readFile(plugin, shownAs: plugin))
        )
        let outcome = try probe(plugin, arguments, data: data)
        StandardStream.errors(Visible.lines(outcome.log))
        let body = outcome.answer ?? []
        StandardStream.output(Visible.json(String(decoding: body, as: UTF8.self)) + "\n")
        let isAnswer = (try? JSONValue(parsing: body))?["error"] == nil
        return isAnswer ? .success : .failure
    }
}
