// The document at `/openapi.json`: every path of the admin listener, what it takes and answers.
//
// AdminTests walk it: each path is called, and each answer is held against its schema.

import Serving

/// The admin API, described in OpenAPI 3.1.
enum OpenAPI {
    /// The document.
    static let text = """
        {
        "openapi": "3.1.0",
        \(info),
        "paths": {
        \(watchingPaths),
        \(changingPaths),
        \(storePaths),
        \(protocolPaths)
        },
        "components": {
        \(parameters),
        \(responses),
        \(securitySchemes),
        "schemas": {
        \(answerSchemas),
        \(changeSchemas),
        \(protocolSchemas)
        }
        }
        }

        """

    private static let info = #"""
        "info": {
         "title": "Switchyard admin API",
         "version": "\#(HostVersion.text)",
         "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
         "description": "Looks at a running host and changes what it serves. On the Unix \#
        socket the host's own user and root come in without a key; over TCP a key of --admin- \#
        key-file is wanted. Every GET answers HEAD too; a method that a path does not have \#
        answers 405 with Allow; a path that there is not answers 404 route_not_found; a '/' \#
        at the end of a path is passed over. Bodies have at most 1 MiB, and a member that \#
        means nothing is refused. Every attempt to change something, and every request that \#
        is refused for who sends it, is a line in LOGS/audit.jsonl before its answer leaves."
        },
        "servers": [
         {"url": "http://localhost", "description": "STATE/admin.sock, as with curl --unix-socket"},
         {"url": "http://127.0.0.1:{port}", "description": "--admin-listen, with a key",
          "variables": {"port": {"default": "9090"}}}
        ],
        "security": [{}, {"bearer": []}, {"basic": []}],
        "tags": [
         {"name": "watch", "description": "Looks, and changes nothing."},
         {"name": "change", "description": "Changes what is served: whole, or not at all."},
         {"name": "store", "description": "Changes aliases and versions in the store."},
         {"name": "dataiku", "description": "The verbs of the Dataiku API node's admin client; \#
        failures have errorType and message. importFromArchive, keys and the like answer 501 and \#
        name the command to use."},
         {"name": "v2", "description": "The model repository of Open Inference's clients."}
        ]
        """#

    private static let parameters = #"""
        "parameters": {
         "endpoint": {"name": "endpoint", "in": "path", "required": true,
          "schema": {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"},
          "example": "pricing_optimizer"},
         "branch": {"name": "branch", "in": "path", "required": true,
          "description": "The branch, with '~' for '/'.",
          "schema": {"type": "string", "maxLength": 200}, "example": "main"},
         "name": {"name": "name", "in": "path", "required": true,
          "schema": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"},
          "example": "pricing_model_v2"},
         "alias": {"name": "alias", "in": "path", "required": true,
          "description": "A name that is not all digits and not latest.",
          "schema": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"},
          "example": "prod"},
         "version": {"name": "version", "in": "path", "required": true,
          "schema": {"type": "integer", "minimum": 1}, "example": 2},
         "revision": {"name": "revision", "in": "path", "required": true,
          "schema": {"type": "integer", "minimum": 1}, "example": 1},
        \#(protocolParameters)
        }
        """#

    /// A response that is a failure.
    private static func failure(
        _ name: String,
        _ what: String,
        _ example: String,
        fields: String = "",
        schema: String = "Error"
    ) -> String {
        ##"""
         "\##(name)": {"description": "\##(what)",
        \##(fields)  "content": {"application/json": {
           "schema": {"$ref": "#/components/schemas/\##(schema)"},
           "example": \##(example)}}}
        """##
    }

    private static let responses = "\"responses\": {\n" + failures.joined(separator: ",\n") + "}"

    private static let failures = [
        failure(
            "BadRequest",
            "The request or its body cannot be understood; nothing is changed.",
            #"{"error": "'resetWeights' is neither true nor false", "code": "bad_request"}"#
        ),
        failure(
            "EndpointNotFound",
            "There is no such endpoint.",
            #"{"error": "there is no endpoint 'pricing'", "code": "endpoint_not_found"}"#
        ),
        failure(
            "RevisionNotFound",
            "There is no such revision.",
            #"""
            {"error": "there is no revision '99'; GET /admin/v1/revisions lists them",
             "code": "revision_not_found"}
            """#
        ),
        failure(
            "StoreNotFound",
            "There is no such deployment, alias or version; the code says which.",
            #"{"error": "main/m has no alias 'prod'; it has none", "code": "alias_not_found"}"#
        ),
        failure(
            "StoreUnchanged",
            "The store cannot be changed like this: the version is in use, or not there; or, with "
                + "reload, what would be served is wrong (commit_failed).",
            #"{"error": "main/m has no version 9; it has 1, 2", "code": "store_unchanged"}"#
        ),
        failure(
            "CommitFailed",
            "What would be served is wrong: errors has all of it. Nothing is changed; where an "
                + "alias was set or removed before, that stays.",
            #"""
            {"error": "nothing is changed: the endpoint e has no split 'b'; it has a",
             "code": "commit_failed", "errors": ["the endpoint e has no split 'b'; it has a"]}
            """#
        ),
        failure(
            "DataikuFailure",
            "A verb of the Dataiku API node that comes to nothing; nothing is changed.",
            #"{"errorType": "service_not_found", "message": "there is no service 'x'"}"#,
            schema: "DataikuError"
        ),
        failure(
            "Unavailable",
            "The host is shutting down (draining), or no thread can be started (not_ready).",
            #"""
            {"error": "the host is shutting down; ask again when it has started",
             "code": "draining"}
            """#
        ),
        failure(
            "Unauthorized",
            "Over TCP, without a key that counts.",
            #"""
            {"error": "found a key that is not in --admin-key-file; wanted one that is",
             "code": "unauthorized"}
            """#,
            fields: #"""
                  "headers": {"WWW-Authenticate": {"schema": {"type": "string"}}},

                """#
        ),
        failure(
            "Forbidden",
            "On the Unix socket another user; over TCP an Origin, or a Host that is a name.",
            #"{"error": "found user 33; wanted the host's user 0, or root", "code": "forbidden"}"#
        ),
        failure(
            "TooLarge",
            "The body has more than 1 MiB.",
            #"""
            {"error": "the body has 2000000 bytes; at most 1048576 are taken",
             "code": "too_large"}
            """#
        ),
        failure(
            "BadFraming",
            "No HTTP/1.1 that is spoken here: 414 the line and 431 the fields are too long, 417 "
                + "and 501 it wants what there is not, 505 it is another version.",
            #"{"error": "the request line is longer than 8192 bytes", "code": "bad_request"}"#
        ),
    ]

    private static let securitySchemes = #"""
        "securitySchemes": {
         "bearer": {"type": "http", "scheme": "bearer",
          "description": "A key of --admin-key-file: 'Authorization: Bearer KEY', or KEY alone."},
         "basic": {"type": "http", "scheme": "basic",
          "description": "A key of --admin-key-file as the user name; the password is passed over."}
        }
        """#

    /// What every path may answer beside its own, on any method.
    static let everywhere = #"""
        "401": {"$ref": "#/components/responses/Unauthorized"},
           "403": {"$ref": "#/components/responses/Forbidden"},
           "413": {"$ref": "#/components/responses/TooLarge"},
           "default": {"$ref": "#/components/responses/BadFraming"}
        """#
}
