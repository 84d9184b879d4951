// The paths of the document at `/openapi.json` that are other protocols' admin verbs.

extension OpenAPI {
    static let protocolPaths = (dataikuPaths + repositoryPaths).joined(separator: ",\n")

    // MARK: Dataiku

    /// What every path of the Dataiku API node's admins may answer beside a good answer.
    private static let dataikuFailures = [
        "400", "401", "403", "404", "409", "413", "503", "default",
    ]
    .map { ##""\##($0)": {"$ref": "#/components/responses/DataikuFailure"}"## }
    .joined(separator: ",\n   ")

    private static func dataiku(
        _ method: String,
        _ path: String,
        _ operation: String,
        _ summary: String,
        parameters: [String] = ["service"],
        body: String = "",
        schema: String,
        example: String
    ) -> String {
        let list = parameters.map { ##"{"$ref": "#/components/parameters/\##($0)"}"## }
        return #"""
             "/admin/api/services\#(path)": {
              "parameters": [\#(list.joined(separator: ", "))],
              "\#(method)": {
               "operationId": "\#(operation)", "tags": ["dataiku"],
               "summary": "\#(summary)",
               \#(body)"responses": {
               "200": {"description": "It is so.", "content": {"application/json": {
                 "schema": \#(schema),
                 "example": \#(example)}}},
               \#(dataikuFailures)}}}
            """#
    }

    private static let committed = ##"{"$ref": "#/components/schemas/DataikuCommit"}"##
    private static let committedExample = #"""
        {"ok": true, "outcome": "unchanged", "configRevision": 4, "previousRevision": 4,
         "changes": []}
        """#

    private static func action(
        _ name: String,
        _ operation: String,
        _ summary: String,
        parameters: [String] = ["service"],
        body: String = ""
    ) -> String {
        dataiku(
            "post",
            "/{service}/actions/\(name)",
            operation,
            summary,
            parameters: parameters,
            body: body,
            schema: committed,
            example: committedExample
        )
    }

    private static let mappingBody = #"""
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": {"oneOf": [{"$ref": "#/components/schemas/Mapping"},
             {"$ref": "#/components/schemas/MappingEntries"}]},
            "example": {"entries": [{"generation": "v1", "proba": 0.3},
             {"generation": "auto_deploy_api", "proba": 0.7}]}}}},

        """# + "   "

    private static let dataikuPaths = [
        dataiku(
            "get",
            "",
            "dataikuServices",
            "Every service, which is a group of endpoints",
            parameters: [],
            schema: ##"{"type": "array", "items": {"$ref": "#/components/schemas/Service"}}"##,
            example: #"[{"serviceId": "fraud_detection", "enabled": true}]"#
        ),
        dataiku(
            "get",
            "/{service}/generations",
            "dataikuGenerations",
            "The generations of a service, which are splits, with versions and probabilities",
            schema: ##"{"$ref": "#/components/schemas/Generations"}"##,
            example: #"""
                {"generations": [{"tag": "v1", "generation": "v1", "mounted": true,
                 "createdOn": "2026-11-21T03:00:00.123456Z",
                 "endpoints": [{"endpointId": "predict_fraud", "proba": 0.3, "deployment":
                  {"branch": "main", "name": "fraud_detection", "version": 1}}]}]}
                """#
        ),
        dataiku(
            "post",
            "/{service}/generations/{generation}/preload",
            "dataikuPreload",
            "Whether a generation can answer: all are loaded already",
            parameters: ["service", "generation"],
            schema:
                #"""
                {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}
                """#,
            example: #"{"ok": true}"#
        ),
        action(
            "setMapping",
            "dataikuSetMapping",
            "Set live weights of every endpoint of a service, and switch it on",
            body: mappingBody
        ),
        action("switchToNewest", "dataikuSwitchToNewest", "Give all traffic to the newest build"),
        action(
            "switchTo/{generation}",
            "dataikuSwitchTo",
            "Give all traffic to one generation",
            parameters: ["service", "generation"]
        ),
        action("enable", "dataikuEnable", "Switch the endpoints of a service on"),
        action("disable", "dataikuDisable", "Switch them off: nothing of them is executed"),
    ]

    static let protocolSchemas = #"""
         "DataikuError": {"type": "object", "required": ["errorType", "message"], "properties": {
          "errorType": {"type": "string"}, "message": {"type": "string"}}},
         "DataikuCommit": {"type": "object",
          "required": ["ok", "outcome", "configRevision", "previousRevision", "changes"],
          "properties": {"ok": {"type": "boolean"},
          "outcome": {"type": "string", "enum": ["committed", "unchanged"]},
          "configRevision": {"type": "integer"}, "previousRevision": {"type": "integer"},
          "changes": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}}}},
         "Service": {"type": "object", "required": ["serviceId", "enabled"], "properties": {
          "serviceId": {"type": "string"}, "enabled": {"type": "boolean"}}},
         "MappingEntries": {"type": "array", "items": {
          "type": "object", "required": ["generation", "proba"], "properties": {
          "generation": {"type": "string"},
          "proba": {"type": "number", "minimum": 0, "maximum": 1,
           "description": "All together make 1, to a millionth."}}}},
         "Mapping": {"type": "object", "required": ["entries"], "properties": {
          "entries": {"$ref": "#/components/schemas/MappingEntries"}}},
         "Generations": {"type": "object", "required": ["generations"], "properties": {
          "generations": {"type": "array", "items": {"$ref": "#/components/schemas/Generation"}}}},
         "Generation": {"type": "object",
          "required": ["tag", "generation", "mounted", "endpoints"], "properties": {
          "tag": {"type": "string"}, "generation": {"type": "string"},
          "mounted": {"type": "boolean"},
          "createdOn": {"type": "string",
           "description": "When its newest build was deployed; missing for a static answer."},
          "endpoints": {"type": "array", "items": {
           "$ref": "#/components/schemas/GenerationEndpoint"}}}},
         "GenerationEndpoint": {"type": "object", "required": ["endpointId", "proba"],
          "properties": {"endpointId": {"type": "string"}, "proba": {"type": "number"},
          "deployment": {"type": "object", "required": ["branch", "name", "version"],
           "properties": {"branch": {"type": "string"}, "name": {"type": "string"},
           "version": {"type": "integer"}}}}},
         "RepositoryModel": {"type": "object", "required": ["name", "state"], "properties": {
          "name": {"type": "string"}, "version": {"type": "string"},
          "state": {"type": "string", "enum": ["READY", "UNAVAILABLE"]},
          "reason": {"type": "string"}}},
         "RepositoryIndexRequest": {"type": "object", "properties": {
          "ready": {"type": "boolean", "description": "Whether only what is ready is listed."}}},
         "RepositoryControl": {"type": "object", "additionalProperties": false, "properties": {
          "parameters": {"type": "object", "additionalProperties": false, "properties": {
           "unload_dependents": {"type": "boolean"}}}}}
        """#

    static let protocolParameters = #"""
         "service": {"name": "service", "in": "path", "required": true,
          "schema": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"},
          "example": "fraud_detection"},
         "generation": {"name": "generation", "in": "path", "required": true,
          "schema": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"},
          "example": "v1"},
         "model": {"name": "model", "in": "path", "required": true,
          "description": "An endpoint, a deployment, or BRANCH~NAME.",
          "schema": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"},
          "example": "pricing_optimizer"}
        """#

    // MARK: Open Inference

    private static func control(_ verb: String, _ summary: String) -> String {
        #"""
         "/v2/repository/models/{model}/\#(verb)": {
          "parameters": [{"$ref": "#/components/parameters/model"}],
          "post": {
           "operationId": "\#(verb)Model", "tags": ["v2"],
           "summary": "\#(summary)",
           "requestBody": {"required": false, "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/RepositoryControl"}, "example": {}}}},
           "responses": {
           "200": {"description": "It is so.", "content": {"application/json": {
             "schema": {"$ref": "#/components/schemas/CommitAnswer"},
             "example": {"outcome": "unchanged", "configRevision": 4, "previousRevision": 4,
              "changes": []}}}},
           "400": {"$ref": "#/components/responses/BadRequest"},
           "404": {"$ref": "#/components/responses/StoreNotFound"},
           "409": {"$ref": "#/components/responses/CommitFailed"},
           "503": {"$ref": "#/components/responses/Unavailable"},
           \#(everywhere)}}}
        """#
    }

    private static let repositoryPaths = [
        #"""
         "/v2/repository/index": {
          "post": {
           "operationId": "repositoryIndex", "tags": ["v2"],
           "summary": "Every endpoint and every loaded version, as models",
           "requestBody": {"required": false, "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/RepositoryIndexRequest"},
            "example": {"ready": true}}}},
           "responses": {
           "200": {"description": "The models.", "content": {"application/json": {
             "schema": {"type": "array", "items": {"$ref": "#/components/schemas/RepositoryModel"}},
             "example": [{"name": "pricing_optimizer", "state": "READY", "reason": ""}]}}},
           "400": {"$ref": "#/components/responses/BadRequest"},
           \#(everywhere)}}}
        """#,
        control("load", "Switch an endpoint on, or load a deployment again"),
        control("unload", "Switch an endpoint off, or unload a deployment that no endpoint uses"),
    ]
}
