// From the text of `endpoints/<name>.yaml` to an endpoint, or to all that is wrong with it.

import Bytes
package import YAML

/// Reads endpoint files.
package enum EndpointFile {
    /// Splits of one endpoint.
    package static let splitsMaximum = 64

    /// What reading came to: an endpoint, or every error of the file in the order of the text.
    package enum Outcome: Sendable {
        case endpoint(Endpoint)
        case errors([YAMLError])
    }

    /// Where the deployment of a split, or the value of one key of it, stands in the text of a file
    /// that was read without errors.
    package static func mark(
        ofDeployment split: String,
        key: String? = nil,
        text: [UInt8]
    ) -> Mark {
        let deployment = (try? YAMLParser.parse(text))?["backends"]?[split]?["deployment"]
        let value = key.flatMap { deployment?[$0] }
        return (value ?? deployment)?.mark ?? Mark(line: 1, column: 1)
    }

    /// Reads the text of an endpoint's file.
    package static func read(name: String, text: [UInt8]) -> Outcome {
        let root: YAMLNode
        do {
            root = try YAMLParser.parse(text)
        } catch {
            return .errors([error])
        }
        var reader = EndpointReader()
        let endpoint = reader.read(root, name: name)
        if let endpoint, reader.errors.isEmpty { return .endpoint(endpoint) }
        return .errors(reader.errors.sorted { $0.mark < $1.mark })
    }
}

/// Walks the nodes of one file and collects what is wrong.
struct EndpointReader {
    var errors: [YAMLError] = []

    static let topKeys = [
        "schemaVersion", "backends", "experimentConfig", "service", "fallback", "mirrors",
    ]

    mutating func report(_ mark: Mark, _ problem: String, hint: String? = nil) {
        errors.append(YAMLError(mark, problem, hint: hint))
    }

    mutating func read(_ root: YAMLNode, name: String) -> Endpoint? {
        guard root.pairs != nil else {
            report(
                root.mark,
                "an endpoint's file is a mapping; found \(root.kindInWords)",
                hint: "begin with 'schemaVersion: 1' and 'backends:'"
            )
            return nil
        }
        if !Names.isEndpoint(name) {
            report(
                Mark(line: 1, column: 1),
                "'\(name)' is no name for an endpoint",
                hint: "name the file with 1 to 64 of a-z, 0-9 and _, then '.yaml'"
            )
        }
        checkKeys(of: root, allowed: Self.topKeys, place: "an endpoint")
        readSchemaVersion(root)
        if let pair = root.pairs?.first(where: { $0.key == "mirrors" }) {
            report(
                pair.keyMark,
                "'mirrors' is reserved: this release does not do it yet",
                hint: "remove the key"
            )
        }
        let splits = readBackends(root)
        let experiment = root["experimentConfig"].flatMap { readExperiment($0, endpoint: name) }
        let service = readName(root["service"], what: "service") ?? name
        let fallback = root["fallback"].flatMap { readFallback($0, of: splits) }
        guard errors.isEmpty else { return nil }
        return Endpoint(
            name: name,
            splits: splits,
            experiment: experiment,
            service: service,
            fallback: fallback
        )
    }

    /// The split that answers when the chosen one cannot.
    private mutating func readFallback(_ node: YAMLNode, of splits: [Split]) -> String? {
        let names = splits.map(\.name)
        if let name = node.scalar, names.contains(name) { return name }
        // A split that is wrong itself has been told of.
        if let name = node.scalar, !splits.isEmpty || errors.isEmpty {
            let guess = Suggestion.nearest(to: name, in: names)
            report(
                node.mark,
                "'fallback' names the split '\(name)', which the endpoint does not have",
                hint: (guess.map { "did you mean '\($0)'? " } ?? "")
                    + "its splits are: \(names.joined(separator: ", "))"
            )
        } else if node.scalar == nil {
            report(node.mark, "'fallback' is \(node.kindInWords); wanted the name of a split")
        }
        return nil
    }

    /// Reports every key that is not allowed, with the one that was probably meant.
    mutating func checkKeys(of node: YAMLNode, allowed: [String], place: String) {
        for pair in node.pairs ?? [] where !allowed.contains(pair.key) {
            let list = allowed.joined(separator: ", ")
            let guess = Suggestion.nearest(to: pair.key, in: allowed)
            let hint = guess.map { "did you mean '\($0)'? " } ?? ""
            report(
                pair.keyMark,
                "unknown key '\(pair.key)' in \(place)",
                hint: "\(hint)\(place) has: \(list)"
            )
        }
    }

    private mutating func readSchemaVersion(_ root: YAMLNode) {
        guard let node = root["schemaVersion"] else {
            report(
                root.mark,
                "'schemaVersion' is missing",
                hint: "add the line 'schemaVersion: 1'"
            )
            return
        }
        if node.content != .scalar("1", isPlain: true) {
            report(
                node.mark,
                "'schemaVersion' is \(node.kindInWords); this host reads version 1",
                hint: "write 'schemaVersion: 1'"
            )
        }
    }

    private mutating func readBackends(_ root: YAMLNode) -> [Split] {
        guard let node = root["backends"] else {
            report(root.mark, "'backends' is missing", hint: "an endpoint has at least one split")
            return []
        }
        guard let pairs = node.pairs, !pairs.isEmpty else {
            let found = node.pairs == nil ? node.kindInWords : "empty"
            report(
                node.mark,
                "'backends' is \(found); wanted a mapping of splits",
                hint: "for example 'control: {deployment: {name: my_model, version: latest}}'"
            )
            return []
        }
        if pairs.count > EndpointFile.splitsMaximum {
            report(
                node.mark,
                "\(pairs.count) splits; an endpoint has at most \(EndpointFile.splitsMaximum)"
            )
            return []
        }
        let before = errors.count
        let splits = pairs.compactMap { readSplit($0) }
        let total = splits.reduce(0) { $0 + $1.weight }
        if errors.count == before, !(total > 0 && total.isFinite) {
            report(
                node.mark,
                total > 0 ? "the weights' sum is too large" : "every split has the weight 0",
                hint: total > 0
                    ? "weights are relative: divide all of them by the same number"
                    : "at least one split needs a weight above 0"
            )
        }
        return splits
    }

    private mutating func readSplit(_ pair: YAMLNode.Pair) -> Split? {
        let place = "split '\(pair.key)'"
        if !Names.isName(pair.key) {
            report(pair.keyMark, "'\(pair.key)' is no name for a split", hint: Self.nameRule)
            return nil
        }
        guard pair.value.pairs != nil else {
            report(
                pair.value.mark,
                "\(place) is \(pair.value.kindInWords); wanted a mapping",
                hint: "a split has: deployment or value, and weight"
            )
            return nil
        }
        checkKeys(of: pair.value, allowed: ["deployment", "value", "weight"], place: place)
        let weight = readWeight(pair.value["weight"], place: place)
        let backend: Backend?
        switch (pair.value["deployment"], pair.value["value"]) {
        case (let deployment?, nil): backend = readDeployment(deployment, place: place)
        case (nil, let value?): backend = readValue(value).map { .value($0) }
        case (_?, let value?):
            report(
                value.mark,
                "\(place) has both 'deployment' and 'value'",
                hint: "keep the one that shall answer"
            )
            backend = nil
        case (nil, nil):
            report(
                pair.keyMark,
                "\(place) has neither 'deployment' nor 'value'",
                hint: "add 'deployment: {name: …, version: latest}' or 'value: …'"
            )
            backend = nil
        }
        guard let weight, let backend else { return nil }
        return Split(
            name: pair.key,
            weight: weight.number,
            weightText: weight.text,
            backend: backend
        )
    }

    static let nameRule =
        "a name is 1 to 64 of A-Z, a-z, 0-9, _, . and -, not beginning with . or -"

    private mutating func readWeight(_ node: YAMLNode?, place: String) -> Weight? {
        guard let node else { return Weight("1") }
        guard case .scalar(let text, isPlain: true) = node.content,
            case .number(let json) = Scalar(text), let number = Double(json), number.isFinite,
            number >= 0
        else {
            report(
                node.mark,
                "the weight of \(place) is \(node.kindInWords); wanted a number from 0 on",
                hint: "weights are relative: 1 and 3 means a quarter and three quarters"
            )
            return nil
        }
        if let weight = Weight(text) { return weight }
        report(
            node.mark,
            "the weight of \(place) is \(node.kindInWords); wanted \(Weight.rule)",
            hint: "weights are relative: multiply or round all of them"
        )
        return nil
    }

    private mutating func readDeployment(_ node: YAMLNode, place: String) -> Backend? {
        guard node.pairs != nil else {
            report(
                node.mark,
                "the deployment of \(place) is \(node.kindInWords); wanted a mapping",
                hint: "write 'deployment: {name: my_model, version: latest}'"
            )
            return nil
        }
        let where_ = "the deployment of \(place)"
        checkKeys(of: node, allowed: ["branch", "name", "version"], place: where_)
        var branch = "main"
        if let given = node["branch"] {
            guard let text = given.scalar, Names.isBranch(text) else {
                report(given.mark, "\(given.kindInWords) is no branch", hint: Self.nameRule)
                return nil
            }
            branch = text
        }
        guard let nameNode = node["name"] else {
            report(node.mark, "\(where_) has no 'name'", hint: "add 'name: my_model'")
            return nil
        }
        guard let name = readName(nameNode, what: "name") else { return nil }
        guard let versionNode = node["version"] else {
            report(node.mark, "\(where_) has no 'version'", hint: "add 'version: latest'")
            return nil
        }
        guard let text = Self.word(versionNode), let version = VersionReference(text) else {
            report(
                versionNode.mark,
                "\(versionNode.kindInWords) is no version",
                hint: "a version is 'latest', a number from 1 on, or an alias"
            )
            return nil
        }
        return .deployment(DeploymentReference(branch: branch, name: name, version: version))
    }

    /// The text of a scalar that is a word: null, true and false are none unless they are quoted.
    private static func word(_ node: YAMLNode) -> String? {
        guard case .scalar(let text, let isPlain) = node.content else { return nil }
        switch Scalar(text) {
        case .null where isPlain, .boolean where isPlain: return nil
        default: return text
        }
    }

    private mutating func readName(_ node: YAMLNode?, what: String) -> String? {
        guard let node else { return nil }
        guard let text = Self.word(node), Names.isName(text) else {
            report(
                node.mark,
                "'\(what)' is \(node.kindInWords); wanted a name",
                hint: Self.nameRule
            )
            return nil
        }
        return text
    }

    private mutating func readExperiment(_ node: YAMLNode, endpoint: String) -> Experiment? {
        guard node.pairs != nil else {
            report(
                node.mark,
                "'experimentConfig' is \(node.kindInWords); wanted a mapping",
                hint: "write 'experimentConfig: {subjectKey: user_id}'"
            )
            return nil
        }
        checkKeys(of: node, allowed: ["experimentId", "subjectKey"], place: "experimentConfig")
        var id = endpoint
        if let given = node["experimentId"] {
            guard let text = readName(given, what: "experimentId") else { return nil }
            id = text
        }
        guard let key = node["subjectKey"] else {
            report(
                node.mark,
                "'experimentConfig' has no 'subjectKey'",
                hint: "name the member that says whose request it is, or remove 'experimentConfig'"
            )
            return nil
        }
        guard case .scalar(let text, let isPlain) = key.content, !text.isEmpty else {
            report(
                key.mark,
                "'subjectKey' is \(key.kindInWords); wanted a member's name or a position"
            )
            return nil
        }
        if isPlain, let position = Int(text), position >= 0, String(position) == text {
            return Experiment(id: id, subjectKey: .argument(position))
        }
        if isPlain, case .text = Scalar(text) {
            return Experiment(id: id, subjectKey: .member(text))
        }
        guard !isPlain else {
            report(
                key.mark,
                "'subjectKey' is \(key.kindInWords); wanted a member's name or a position",
                hint: "put it in quotes if it is a member's name"
            )
            return nil
        }
        return Experiment(id: id, subjectKey: .member(text))
    }
}
