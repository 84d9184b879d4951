// The schemas of what changes: a kind for each set of members.

extension OpenAPI {
    /// A kind of change, or several with the same members.
    private struct Kind {
        let name: String
        let kinds: [String]
        let members: [(name: String, schema: String)]
        var optional: [String] = []

        init(
            _ name: String,
            _ kinds: [String],
            _ members: [(name: String, schema: String)],
            optional: [String] = []
        ) {
            (self.name, self.kinds) = (name, kinds)
            (self.members, self.optional) = (members, optional)
        }

        var schema: String {
            let words = kinds.map { "\"\($0)\"" }.joined(separator: ", ")
            let lines =
                [#"  "change": {"type": "string", "enum": [\#(words)]}"#]
                + [("text", string)].map { "  \"\($0.0)\": \($0.1)" }
                + members.map { "  \"\($0.name)\": \($0.schema)" }
            return object(
                name,
                required: ["change", "text"]
                    + members.map(\.name).filter { !optional.contains($0) },
                lines.joined(separator: ",\n")
            )
        }
    }

    private static let string = #"{"type": "string"}"#
    private static let whole = #"{"type": "integer"}"#

    private static func reference(_ name: String) -> String {
        ##"{"$ref": "#/components/schemas/\##(name)"}"##
    }

    private static let kindsOfChange: [Kind] = {
        let weight = reference("Weight")
        let endpoint = (name: "endpointName", schema: string)
        let split = (name: "backendName", schema: string)
        let deployment = [(name: "branch", schema: string), (name: "name", schema: string)]
        let version = (name: "version", schema: whole)
        func moved(_ schema: String) -> [(name: String, schema: String)] {
            [(name: "from", schema: schema), (name: "to", schema: schema)]
        }
        return [
            Kind(
                "EndpointAdded",
                ["endpointAdded"],
                [endpoint, ("weights", reference("Weights"))]
            ),
            Kind(
                "EndpointChange",
                ["endpointRemoved", "textChanged", "endpointDisabled", "endpointEnabled"],
                [endpoint]
            ),
            Kind(
                "DeploymentChange",
                ["deploymentUnloaded", "deploymentLoaded"],
                [("deployment", string)]
            ),
            Kind(
                "FallbackChanged",
                ["fallbackChanged"],
                [endpoint] + moved(#"{"type": ["string", "null"]}"#)
            ),
            Kind(
                "SplitAdded",
                ["splitAdded"],
                [endpoint, split, ("weight", weight), ("backend", string)]
            ),
            Kind("SplitRemoved", ["splitRemoved"], [endpoint, split]),
            Kind("WeightChanged", ["weightChanged"], [endpoint, split] + moved(weight)),
            Kind("BackendChanged", ["backendChanged"], [endpoint, split] + moved(string)),
            Kind(
                "SettingChanged",
                ["experimentChanged", "serviceChanged"],
                [endpoint] + moved(string)
            ),
            Kind(
                "SubjectsMoved",
                ["subjectsMoved"],
                [endpoint, ("fraction", #"{"type": "number", "minimum": 0}"#)]
            ),
            Kind(
                "LiveWeightsDropped",
                ["liveWeightsDropped"],
                [endpoint, ("liveWeights", reference("LiveWeights"))]
            ),
            Kind(
                "VersionChanged",
                ["versionChanged"],
                deployment + [("reference", string)] + moved(whole),
                optional: ["from", "to"]
            ),
            Kind(
                "VersionMissing",
                ["versionMissing"],
                deployment + [("reference", string), version]
            ),
            Kind("ModelChange", ["load", "retire"], deployment + [version, ("sha256", string)]),
            Kind("ExecutionChanged", ["executionChanged"], deployment + [version]),
            Kind(
                "RollbackChange",
                ["rolledBack", "rollbackEnded"],
                [("configRevision", whole)]
            ),
            Kind("LeftOut", ["leftOut"], [("subject", string), ("new", #"{"type": "boolean"}"#)]),
            Kind("PinChange", ["pinEnded", "released"], [("subject", string)]),
            Kind("FreezeChange", ["frozen", "unfrozen"], []),
        ]
    }()

    static let changeSchemas: String = {
        let list = kindsOfChange.map { "  " + reference($0.name) }
        let mapping = kindsOfChange.flatMap { kind in
            kind.kinds.map { ##"   "\##($0)": "#/components/schemas/\##(kind.name)""## }
        }
        let union = #"""
             "Change": {"description": "One thing that is different: text says it in a sentence.",
              "oneOf": [
            \#(list.joined(separator: ",\n"))],
              "discriminator": {"propertyName": "change", "mapping": {
            \#(mapping.joined(separator: ",\n"))}}}
            """#
        return ([union] + kindsOfChange.map(\.schema)).joined(separator: ",\n")
    }()
}
