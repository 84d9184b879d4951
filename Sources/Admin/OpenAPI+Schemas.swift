// The schemas of the document at `/openapi.json`.

extension OpenAPI {
    /// An object: all of its members, and which of them are always there.
    private static func object(
        _ name: String,
        required: [String],
        _ properties: String
    ) -> String {
        let names = required.map { "\"\($0)\"" }.joined(separator: ", ")
        return #"""
             "\#(name)": {"type": "object", "required": [\#(names)], "properties": {
            \#(properties)}}
            """#
    }

    static let answerSchemas = [
        requestSchemas,
        object(
            "Error",
            required: ["error", "code"],
            #"""
              "error": {"type": "string", "description": "One sentence."},
              "code": {"type": "string", "description": "A stable word for the kind of failure.",
               "enum": ["bad_request", "bad_json", "too_large", "unauthorized", "forbidden",
                "route_not_found", "endpoint_not_found", "deployment_not_found",
                "version_not_found", "alias_not_found", "revision_not_found",
                "method_not_allowed", "store_unchanged", "commit_failed", "not_ready",
                "draining", "no_supervisor", "service_not_found", "generation_not_found",
                "unsupported"]},
              "errors": {"type": "array", "items": {"type": "string"},
               "description": "All that is wrong, for commit_failed."}
            """#
        ),
        object("Live", required: ["live"], #"  "live": {"type": "boolean"}"#),
        object(
            "Readiness",
            required: ["ready", "configRevision", "reasons"],
            #"""
              "ready": {"type": "boolean"},
              "configRevision": {"type": "integer"},
              "reasons": {"type": "array", "items": {"type": "string"}}
            """#
        ),
        statusSchemas, workerSchemas, endpointSchemas, deploymentSchemas, revisionSchemas,
        object(
            "Plan",
            required: ["changes", "errors", "warnings"],
            #"""
              "configRevision": {"type": "integer", "description": "The revision that is live."},
              "changes": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}},
              "errors": {"type": "array", "items": {"type": "string"},
               "description": "All that would refuse the reload; then there are no changes."},
              "warnings": {"type": "array", "items": {"type": "string"},
               "description": "What a reload would pass over."}
            """#
        ),
        object(
            "CommitAnswer",
            required: ["outcome", "configRevision", "previousRevision", "changes"],
            #"""
              "outcome": {"type": "string", "enum": ["committed", "unchanged"]},
              "configRevision": {"type": "integer", "description": "The revision that is live."},
              "previousRevision": {"type": "integer",
               "description": "The revision that was live when the request was taken."},
              "changes": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}},
              "previousVersion": {"type": "integer",
               "description": "What an alias stood for before it was set or removed."}
            """#
        ),
        object(
            "StoreAnswer",
            required: ["outcome"],
            #"""
              "outcome": {"type": "string", "enum": ["done"]},
              "previousVersion": {"type": "integer",
               "description": "What the alias stood for before."}
            """#
        ),
    ].joined(separator: ",\n")

    /// What may stand in bodies; anything else is refused.
    private static let requestSchemas = #"""
         "Weight": {"type": "number", "minimum": 0,
          "description": "Relative: 1 and 3 means one quarter and three. Above 0 at least 1e-100."},
         "Weights": {"type": "object", "minProperties": 1,
          "additionalProperties": {"$ref": "#/components/schemas/Weight"}},
         "KeepWeights": {"type": "object", "additionalProperties": false, "properties": {
          "keepWeights": {"type": "boolean", "default": false,
           "description": "Whether live weights stay."}}},
         "RollbackRequest": {"type": "object", "additionalProperties": false, "properties": {
          "configRevision": {"type": "integer", "minimum": 0, "maximum": 1000000000,
           "description": "Missing: the revision before the one that is live."}}},
         "ClearRequest": {"type": "object", "additionalProperties": false, "properties": {
          "deployment": {"type": "string", "description": "BRANCH/NAME; missing: all."},
          "version": {"type": "integer", "minimum": 0, "maximum": 1000000000}}},
         "WeightsRequest": {"type": "object", "additionalProperties": false,
          "required": ["weights"], "properties": {
          "weights": {"$ref": "#/components/schemas/Weights"}}},
         "AliasRequest": {"type": "object", "additionalProperties": false,
          "required": ["version"], "properties": {
          "version": {"type": "integer", "minimum": 1, "maximum": 1000000000},
          "reload": {"type": "boolean", "default": false,
           "description": "Whether the host reloads at once; live weights stay."}}},
         "ReloadRequest": {"type": "object", "additionalProperties": false, "properties": {
          "reload": {"type": "boolean", "default": false,
           "description": "Whether the host reloads at once; live weights stay."}}}
        """#

    private static let statusSchemas = object(
        "Status",
        required: [
            "version", "processId", "startedAt", "uptimeSeconds", "ready", "reasons",
            "configRevision", "committedAt", "committedBy", "listeners", "loops", "connections",
            "pluginImages", "requestLog", "quarantine", "crashes", "endpoints", "deployments",
        ],
        #"""
          "version": {"type": "string", "description": "The host's own version."},
          "processId": {"type": "integer"},
          "recycleFailed": {"type": "string",
            "description": "Why no other worker has taken over; missing where nothing is known."},
          "startedAt": {"type": "string", "format": "date-time"},
          "uptimeSeconds": {"type": "integer"},
          "ready": {"type": "boolean"},
          "reasons": {"type": "array", "items": {"type": "string"}},
          "configRevision": {"type": "integer"},
          "committedAt": {"type": "string", "format": "date-time"},
          "committedBy": {"type": "string"},
          "unloaded": {"type": "array", "items": {"type": "string"},
               "description": "Deployments that an admin has unloaded; missing for none."},
              "rollbackOf": {"type": "integer",
           "description": "The revision that counts instead of the files."},
          "listeners": {"type": "array", "items": {"type": "string"}},
          "loops": {"type": "integer"},
          "connections": {"type": "integer", "description": "Connections of clients."},
          "pluginImages": {"type": "integer",
           "description": "Shared libraries of plugins; they stay until the process ends."},
          "requestLog": {"type": "object", "required": ["failing", "recordsLost", "waitingBytes"],
           "properties": {
            "failing": {"type": "boolean"},
            "recordsLost": {"type": "integer"},
            "waitingBytes": {"type": "integer"}}},
          "quarantine": {"type": "array",
           "items": {"$ref": "#/components/schemas/Quarantine"}},
          "crashes": {"type": "array", "items": {"$ref": "#/components/schemas/Crash"},
           "description": "The last five."},
          "endpoints": {"type": "array", "items": {"$ref": "#/components/schemas/Endpoint"}},
          "deployments": {"type": "array", "items": {"$ref": "#/components/schemas/Deployment"}}
        """#
    )

    private static let workerSchemas = [
        object(
            "Quarantine",
            required: ["deployment", "version", "build", "since", "reason"],
            #"""
              "deployment": {"type": "string", "description": "BRANCH/NAME"},
              "version": {"type": "integer"},
              "build": {"type": "string", "description": "SHA-256 of the plugin's file."},
              "since": {"type": "string", "format": "date-time"},
              "reason": {"type": "string"}
            """#
        ),
        object(
            "Crash",
            required: ["time", "process", "cause", "report"],
            #"""
              "time": {"type": "string", "format": "date-time"},
              "process": {"type": "integer"},
              "cause": {"type": "string"},
              "deployment": {"type": "string", "description": "BRANCH/NAME, if it is known."},
              "version": {"type": "integer"},
              "function": {"type": "string", "description": "Of the contract."},
              "requestId": {"type": "string", "description": "The request that was guilty."},
              "report": {"type": "string", "description": "The file that says all of it."}
            """#
        ),
        object("Recycling", required: ["recycling"], #"  "recycling": {"type": "boolean"}"#),
    ].joined(separator: ",\n")

    private static let endpointSchemas = [
        object(
            "Endpoint",
            required: ["endpointName", "service", "ready", "splits"],
            #"""
              "endpointName": {"type": "string"},
              "service": {"type": "string"},
              "ready": {"type": "boolean",
               "description": "Whether a split with traffic can answer."},
              "experimentId": {"type": "string", "description": "Missing: a coin for each row."},
              "subjectKey": {"type": ["string", "integer"],
               "description": "A member's name, or the place of an argument."},
              "disabled": {"type": "boolean", "description": "True: an admin has switched it off."},
              "fallback": {"type": "string",
               "description": "The split that answers when the chosen one cannot."},
              "liveWeights": {"$ref": "#/components/schemas/LiveWeights"},
              "splits": {"type": "array", "items": {"$ref": "#/components/schemas/Split"}}
            """#
        ),
        object(
            "LiveWeights",
            required: ["author", "since", "weights"],
            #"""
              "author": {"type": "string"},
              "since": {"type": "string", "format": "date-time"},
              "weights": {"$ref": "#/components/schemas/Weights"}
            """#
        ),
        object(
            "Split",
            required: ["backendName", "weight", "fileWeight", "share", "requests", "errors"],
            #"""
              "backendName": {"type": "string"},
              "weight": {"$ref": "#/components/schemas/Weight"},
              "fileWeight": {"$ref": "#/components/schemas/Weight"},
              "share": {"type": "number", "minimum": 0},
              "value": {"description": "The static answer, of a split that has one: any JSON."},
              "deployment": {"type": "object", "required": ["branch", "name"], "properties": {
               "branch": {"type": "string"},
               "name": {"type": "string"},
               "version": {"type": "integer"},
               "alias": {"type": "string", "description": "The name that it was asked for by."}}},
              "requests": {"type": "integer", "description": "Since this version is served."},
              "errors": {"type": "integer"}
            """#
        ),
    ].joined(separator: ",\n")

    private static let deploymentSchemas = object(
        "Deployment",
        required: ["branch", "name", "version", "state"],
        #"""
          "branch": {"type": "string"},
          "name": {"type": "string"},
          "version": {"type": "integer"},
          "state": {"type": "string",
           "enum": ["ready", "unhealthy", "loading", "quarantined", "kept", "draining", "failed"],
           "description": "kept: for a rollback; draining: waits for its last request; failed: \#
        could not be loaded when that was last tried, and has a reason and nothing below it."},
          "reason": {"type": "string"},
          "aliases": {"type": "array", "items": {"type": "string"},
           "description": "The names that it is called by, latest among them."},
          "sha256": {"type": "string"},
          "execution": {"type": "object",
           "required": ["mode", "runsOn", "threads", "queue", "waiting", "refused"],
           "properties": {
            "mode": {"type": "string", "enum": ["inline", "pool"]},
            "runsOn": {"type": "string", "enum": ["loops", "pool"]},
            "threads": {"type": "integer"},
            "queue": {"type": "integer"},
            "waiting": {"type": "integer"},
            "refused": {"type": "integer"}}}
        """#
    )

    private static let revisionSchemas = [
        object(
            "RevisionSummary",
            required: ["configRevision", "current"],
            #"""
              "configRevision": {"type": "integer"},
              "current": {"type": "boolean"},
              "created": {"type": "string", "format": "date-time"},
              "author": {"type": "string"},
              "changes": {"type": "array", "items": {"type": "string"}},
              "error": {"type": "string", "description": "Why its file cannot be read."}
            """#
        ),
        object(
            "Revision",
            required: [
                "schemaVersion", "revision", "created", "author", "changes", "endpoints",
                "versions", "liveWeights",
            ],
            #"""
              "schemaVersion": {"type": "integer", "enum": [1]},
              "revision": {"type": "integer"},
              "created": {"type": "string", "format": "date-time"},
              "author": {"type": "string"},
              "changes": {"type": "array", "items": {"type": "string"}},
              "endpoints": {"type": "array", "items": {
               "type": "object", "required": ["name", "text"], "properties": {
                "name": {"type": "string"},
                "text": {"type": "string", "description": "The endpoint's file."}}}},
              "versions": {"type": "array", "items": {
               "type": "object", "required": ["branch", "name", "reference", "version", "sha256"],
               "properties": {
                "branch": {"type": "string"},
                "name": {"type": "string"},
                "reference": {"type": "string", "description": "What the files call it."},
                "version": {"type": "integer"},
                "sha256": {"type": "string"}}}},
              "liveWeights": {"type": "object",
               "additionalProperties": {"$ref": "#/components/schemas/LiveWeights"}},
              "files": {"type": "string", "description": "A hash of what the files were."},
              "disabled": {"type": "array", "items": {"type": "string"},
               "description": "Endpoints that are switched off, and unloaded deployments."},
              "rollbackOf": {"type": "integer"}
            """#
        ),
    ].joined(separator: ",\n")

    // MARK: Changes

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
