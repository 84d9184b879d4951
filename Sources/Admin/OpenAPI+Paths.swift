// The paths of the document at `/openapi.json`.

extension OpenAPI {
    /// A path that is only looked at.
    private static func looked(
        at path: String,
        _ operation: String,
        _ summary: String,
        parameters: [String] = [],
        _ answers: String
    ) -> String {
        #"""
         "\#(path)": {
          \#(parameters.isEmpty ? "" : Self.parameters(parameters) + ",\n  ")"get": {
           "operationId": "\#(operation)", "tags": ["watch"],
           "summary": "\#(summary)",
           "responses": {
           \#(answers),
           "400": {"$ref": "#/components/responses/BadRequest"},
           \#(everywhere)}}}
        """#
    }

    private static func parameters(_ names: [String]) -> String {
        let list = names.map { ##"{"$ref": "#/components/parameters/\##($0)"}"## }
        return #""parameters": [\#(list.joined(separator: ", "))]"#
    }

    /// A good answer in JSON.
    private static func answer(
        _ description: String,
        _ schema: String,
        example: String,
        status: Int = 200
    ) -> String {
        #"""
        "\#(status)": {"description": "\#(description)",
            "content": {"application/json": {
             "schema": \#(schema),
             "example": \#(example)}}}
        """#
    }

    private static func schema(_ name: String) -> String {
        ##"{"$ref": "#/components/schemas/\##(name)"}"##
    }

    private static func list(_ name: String) -> String {
        #"{"type": "array", "items": \#(schema(name))}"#
    }

    private static func response(_ status: Int, _ name: String) -> String {
        ##""\##(status)": {"$ref": "#/components/responses/\##(name)"}"##
    }

    /// One way to change something.
    private static func operation(
        _ method: String,
        _ id: String,
        tag: String,
        _ summary: String,
        body: String,
        _ answers: [String]
    ) -> String {
        #"""
          "\#(method)": {
           "operationId": "\#(id)", "tags": ["\#(tag)"],
           "summary": "\#(summary)",
           \#(body)"responses": {
           \#(answers.joined(separator: ",\n   ")),
           "400": {"$ref": "#/components/responses/BadRequest"},
           "503": {"$ref": "#/components/responses/Unavailable"},
           \#(everywhere)}}
        """#
    }

    private static func body(_ schema: String, isRequired: Bool, example: String) -> String {
        #"""
        "requestBody": {"required": \#(isRequired), "content": {"application/json": {
            "schema": \#(schema),
            "example": \#(example)}}},

        """# + "   "
    }

    // MARK: Looking

    static let watchingPaths = [
        looked(
            at: "/metrics",
            "metrics",
            "The counters of the host, for Prometheus",
            #"""
            "200": {"description": "Prometheus' text format, version 0.0.4.",
                "content": {"text/plain; version=0.0.4; charset=utf-8": {
                 "schema": {"type": "string"},
                 "example": "# TYPE switchyard_ready gauge\nswitchyard_ready 1\n"}}}
            """#
        ),
        looked(
            at: "/openapi.json",
            "openapi",
            "This document",
            answer("The document.", #"{"type": "object"}"#, example: #"{"openapi": "3.1.0"}"#)
        ),
        looked(
            at: "/health/live",
            "live",
            "Whether the admin thread answers",
            answer("It does.", schema("Live"), example: #"{"live": true}"#)
        ),
        looked(
            at: "/health/ready",
            "ready",
            "Whether the host wants traffic, and why not",
            answer(
                "It does; reasons may still say what is not well.",
                schema("Readiness"),
                example: #"{"ready": true, "configRevision": 4, "reasons": []}"#
            ) + ",\n   "
                + answer(
                    "It does not.",
                    schema("Readiness"),
                    example: #"""
                        {"ready": false, "configRevision": 4,
                         "reasons": ["the host is shutting down"]}
                        """#,
                    status: 503
                )
        ),
        looked(
            at: "/admin/v1/status",
            "status",
            "Everything: the host, its endpoints, its versions",
            answer("The state of this moment.", schema("Status"), example: statusExample)
                + ",\n   " + response(503, "Unavailable")
        ),
        looked(
            at: "/admin/v1/endpoints",
            "endpoints",
            "Every endpoint, sorted by name",
            answer("The endpoints.", list("Endpoint"), example: "[\(endpointExample)]")
        ),
        looked(
            at: "/admin/v1/endpoints/{endpoint}",
            "endpoint",
            "One endpoint, with the weights that count",
            parameters: ["endpoint"],
            answer("The endpoint.", schema("Endpoint"), example: endpointExample) + ",\n   "
                + response(404, "EndpointNotFound")
        ),
        looked(
            at: "/admin/v1/deployments",
            "deployments",
            "Every version in memory, and those that could not be loaded",
            answer("The versions.", list("Deployment"), example: "[\(deploymentExample)]")
        ),
        looked(
            at: "/admin/v1/quarantine",
            "quarantine",
            "Versions that have ended workers and are not run again",
            answer("The versions.", list("Quarantine"), example: "[\(quarantineExample)]")
        ),
        looked(
            at: "/admin/v1/crashes",
            "crashes",
            "The last 50 crashes of workers, the newest first",
            answer("The crashes.", list("Crash"), example: "[\(crashExample)]") + ",\n   "
                + response(503, "Unavailable")
        ),
        looked(
            at: "/admin/v1/revisions",
            "revisions",
            "The revisions that are kept, the newest first",
            answer("The revisions.", list("RevisionSummary"), example: revisionsExample)
                + ",\n   " + response(503, "Unavailable")
        ),
        looked(
            at: "/admin/v1/revisions/{revision}",
            "revision",
            "One revision as it lies in STATE/revisions",
            parameters: ["revision"],
            answer("The revision.", schema("Revision"), example: revisionExample) + ",\n   "
                + response(404, "RevisionNotFound") + ",\n   " + response(503, "Unavailable")
        ),
    ].joined(separator: ",\n")

    // MARK: Changing

    private static let committed = answer(
        "Another revision is live (committed), or what was asked for is live already (unchanged).",
        schema("CommitAnswer"),
        example: commitExample
    )

    /// A path with the operations that change something there.
    private static func changed(
        at path: String,
        parameters names: [String] = [],
        _ operations: [String]
    ) -> String {
        let head = names.isEmpty ? "" : "  \(parameters(names)),\n"
        return " \"\(path)\": {\n\(head)\(operations.joined(separator: ",\n"))}"
    }

    static let changingPaths = [
        changed(
            at: "/admin/v1/plan",
            [
                operation(
                    "post",
                    "plan",
                    tag: "watch",
                    "What a reload would change; nothing is loaded for it",
                    body: body(
                        schema("PlanRequest"),
                        isRequired: false,
                        example: #"{"resetWeights": true}"#
                    ),
                    [answer("The plan.", schema("Plan"), example: planExample)]
                )
            ]
        ),
        changed(
            at: "/admin/v1/reload",
            [
                operation(
                    "post",
                    "reload",
                    tag: "change",
                    "Serve what the files say",
                    body: body(
                        schema("ReloadAllRequest"),
                        isRequired: false,
                        example: #"{"resetWeights": true, "because": "the file counts again"}"#
                    ),
                    [committed, response(409, "CommitFailed")]
                )
            ]
        ),
        changed(
            at: "/admin/v1/rollback",
            [
                operation(
                    "post",
                    "rollback",
                    tag: "change",
                    "Serve an older revision, whatever reloads say; or let it come back",
                    body: body(
                        schema("RollbackRequest"),
                        isRequired: false,
                        example: #"{"configRevision": 2}"#
                    ),
                    [committed, response(409, "CommitFailed")]
                )
            ]
        ),
        changed(
            at: "/admin/v1/freeze",
            [
                operation(
                    "post",
                    "freeze",
                    tag: "change",
                    "Refuse every change from now on",
                    body: body(
                        schema("FreezeRequest"),
                        isRequired: true,
                        example: #"{"text": "release week"}"#
                    ),
                    [committed, response(409, "CommitFailed")]
                ),
                operation(
                    "delete",
                    "unfreeze",
                    tag: "change",
                    "Let the host be changed again",
                    body: body(
                        schema("ChangeRequest"),
                        isRequired: false,
                        example: #"{"ifRevision": 3}"#
                    ),
                    [committed, response(409, "CommitFailed")]
                ),
            ]
        ),
        changed(
            at: "/admin/v1/quarantine/clear",
            [
                operation(
                    "post",
                    "clearQuarantine",
                    tag: "change",
                    "Let versions run again: all, those of a deployment, or one",
                    body: body(
                        schema("ClearRequest"),
                        isRequired: false,
                        example: #"{"deployment": "main/pricing_model_v2", "version": 2}"#
                    ),
                    [committed, response(409, "CommitFailed")]
                )
            ]
        ),
        changed(
            at: "/admin/v1/recycle",
            [
                operation(
                    "post",
                    "recycle",
                    tag: "change",
                    "Let another worker take over, once it is ready",
                    body: "",
                    [
                        answer(
                            "It is being started; status shows its process once it serves.",
                            schema("Recycling"),
                            example: #"{"recycling": true}"#
                        )
                    ]
                )
            ]
        ),
        changed(
            at: "/admin/v1/endpoints/{endpoint}/weights",
            parameters: ["endpoint"],
            [
                operation(
                    "put",
                    "setWeights",
                    tag: "change",
                    "Set live weights of the splits that are named; the files stay as they are",
                    body: body(
                        schema("WeightsRequest"),
                        isRequired: true,
                        example: #"{"weights": {"control": 9, "experiment": 1}}"#
                    ),
                    [
                        committed, response(404, "EndpointNotFound"),
                        response(409, "CommitFailed"),
                    ]
                ),
                operation(
                    "delete",
                    "resetWeights",
                    tag: "change",
                    "Let the weights of the file count again",
                    body: "",
                    [
                        committed, response(404, "EndpointNotFound"),
                        response(409, "CommitFailed"),
                    ]
                ),
            ]
        ),
    ].joined(separator: ",\n")

    // MARK: The store

    private static let stored = answer(
        "The alias is changed; with reload, what the host made of it.",
        #"{"oneOf": [\#(schema("StoreAnswer")), \#(schema("CommitAnswer"))]}"#,
        example: #"{"outcome": "done", "previousVersion": 1}"#
    )

    static let storePaths = [
        changed(
            at: "/admin/v1/deployments/{branch}/{name}/aliases/{alias}",
            parameters: ["branch", "name", "alias"],
            [
                operation(
                    "put",
                    "setAlias",
                    tag: "store",
                    "Let an alias stand for a version; with reload, serve that at once",
                    body: body(
                        schema("AliasRequest"),
                        isRequired: true,
                        example: #"{"version": 2, "reload": true}"#
                    ),
                    [
                        stored, response(404, "StoreNotFound"), response(409, "StoreUnchanged"),
                    ]
                ),
                operation(
                    "delete",
                    "removeAlias",
                    tag: "store",
                    "Remove an alias",
                    body: body(
                        schema("ReloadRequest"),
                        isRequired: false,
                        example: #"{"reload": true}"#
                    ),
                    [
                        stored, response(404, "StoreNotFound"), response(409, "StoreUnchanged"),
                    ]
                ),
            ]
        ),
        changed(
            at: "/admin/v1/deployments/{branch}/{name}/versions/{version}",
            parameters: ["branch", "name", "version"],
            [
                operation(
                    "delete",
                    "removeVersion",
                    tag: "store",
                    "Remove a version that nobody uses; its number is never given again",
                    body: "",
                    [
                        answer(
                            "The version is gone.",
                            schema("StoreAnswer"),
                            example: #"{"outcome": "done"}"#
                        ), response(404, "StoreNotFound"), response(409, "StoreUnchanged"),
                    ]
                )
            ]
        ),
    ].joined(separator: ",\n")
}
