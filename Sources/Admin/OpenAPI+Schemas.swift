// The schemas of the document at `/openapi.json`.

extension OpenAPI {
    /// An object: all of its members, and which of them are always there.
    static func object(
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
                "method_not_allowed", "store_unchanged", "commit_failed", "revision_moved",
                 "frozen",
                "too_many_wrong_keys", "not_ready",
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
        statusSchemas, pinSchemas, workerSchemas, endpointSchemas, deploymentSchemas,
        revisionSchemas,
        object(
            "Plan",
            required: ["changes", "errors", "warnings"],
            #"""
              "configRevision": {"type": "integer", "description": "The revision that is live."},
              "changes": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}},
              "errors": {"type": "array", "items": {"type": "string"},
               "description": "All that would refuse the reload; then there are no changes."},
              "warnings": {"type": "array", "items": {"type": "string"},
               "description": "What a reload would pass over."},
              "leftOut": {"type": "array", "items": {"$ref": "#/components/schemas/Change"},
               "description": "What rollbacks have put aside."}
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
              "leftOut": {"type": "array", "items": {"$ref": "#/components/schemas/Change"},
               "description": "What rollbacks have put aside; missing for nothing."},
              "warnings": {"type": "array", "items": {"type": "string"},
               "description": "Versions that could not be loaded; missing for none."},
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

    /// Members that every change takes.
    private static let terms = #"""
        "ifRevision": {"type": "integer", "minimum": 0, "maximum": 1000000000,
           "description": "The revision that it is to be a change of; 409 for another one."},
          "because": {"type": "string", "maxLength": 500,
           "description": "Why, for the audit log."}
        """#

    /// What a plan and a reload may say of live weights, up to the last member of it.
    private static let fateOfWeights = #"""
        "not": {"required": ["keepWeights", "resetWeights"], "properties": {
           "keepWeights": {"enum": [true]}, "resetWeights": {"enum": [true]}}},
          "properties": {
          "keepWeights": {"type": "boolean", "default": false, "deprecated": true,
           "description": "That live weights stay, as they do anyway."},
          "resetWeights": {"type": "boolean", "default": false,
           "description": "Whether live weights end."}
        """#

    /// Whether a change of the store is followed by a reload.
    private static let reloads = #"""
        "reload": {"type": "boolean", "default": false,
           "description": "Whether the host reloads at once; live weights stay."}
        """#

    /// What may stand in bodies; anything else is refused.
    private static let requestSchemas = #"""
         "Weight": {"type": "number", "minimum": 0,
          "description": "Relative: 1 and 3 means one quarter and three. Above 0 at least 1e-100."},
         "Weights": {"type": "object", "minProperties": 1,
          "additionalProperties": {"$ref": "#/components/schemas/Weight"}},
         "PlanRequest": {"type": "object", "additionalProperties": false,
          \#(fateOfWeights)}},
         "ReloadAllRequest": {"type": "object", "additionalProperties": false,
          \#(fateOfWeights),
          \#(terms)}},
         "RollbackRequest": {"type": "object", "additionalProperties": false,
          "not": {"anyOf": [{"required": ["configRevision", "endpoint"]},
           {"required": ["configRevision", "release"]}, {"required": ["endpoint", "release"]}]},
          "properties": {
          "configRevision": {"type": "integer", "minimum": 0, "maximum": 1000000000,
           "description": "Missing: the revision before the one that is served."},
          "endpoint": {"type": "string", "description": "Only this endpoint."},
          "release": {"type": "string",
           "description": "What was rolled back may come back with the next reload."},
          \#(terms)}},
         "FreezeRequest": {"type": "object", "additionalProperties": false,
          "required": ["text"], "properties": {
          "text": {"type": "string", "minLength": 1, "maxLength": 500,
           "description": "Why; whoever is refused reads it."},
          \#(terms)}},
         "ChangeRequest": {"type": "object", "additionalProperties": false, "properties": {
          \#(terms)}},
         "ClearRequest": {"type": "object", "additionalProperties": false, "properties": {
          "deployment": {"type": "string", "description": "BRANCH/NAME; missing: all."},
          "version": {"type": "integer", "minimum": 0, "maximum": 1000000000},
          \#(terms)}},
         "WeightsRequest": {"type": "object", "additionalProperties": false,
          "required": ["weights"], "properties": {
          "weights": {"$ref": "#/components/schemas/Weights"},
          \#(terms)}},
         "AliasRequest": {"type": "object", "additionalProperties": false,
          "required": ["version"], "properties": {
          "version": {"type": "integer", "minimum": 1, "maximum": 1000000000},
          \#(reloads),
          \#(terms)}},
         "ReloadRequest": {"type": "object", "additionalProperties": false, "properties": {
          \#(reloads),
          \#(terms)}}
        """#

    private static let pinSchemas = object(
        "Pin",
        required: ["endpoints", "author", "since"],
        #"""
          "endpoint": {"type": "string"},
          "branch": {"type": "string"}, "name": {"type": "string"},
          "reference": {"type": "string", "description": "An alias, or latest."},
          "endpoints": {"type": "array", "items": {"type": "string"}},
          "left": {"type": "object", "description": "What was put aside."},
          "kept": {"type": "object", "description": "What is served instead."},
          "author": {"type": "string"}, "since": {"type": "string"},
          "because": {"type": "string"}
        """#
    )

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
          "pins": {"type": "array", "items": {"$ref": "#/components/schemas/Pin"},
           "description": "What rollbacks have put aside; missing for nothing."},
          "frozen": {"type": "object", "required": ["text", "author", "since"], "properties": {
           "text": {"type": "string"}, "author": {"type": "string"},
           "since": {"type": "string"}}},
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
              "configRevision": {"type": "integer", "description": "The revision that is live."},
              "pins": {"type": "array", "items": {"$ref": "#/components/schemas/Pin"}},
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
              "rollbackOf": {"type": "integer"},
              "pins": {"type": "array", "items": {"$ref": "#/components/schemas/Pin"}},
              "frozen": {"type": "object"}
            """#
        ),
    ].joined(separator: ",\n")
}
