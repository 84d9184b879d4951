// The parts of the document at `/openapi.json` that are the same for every snapshot.

import JSON

/// What every description of a host shares.
enum ClientSchemas {
    static let about = """
        Predictions, each with the split that made it, in three protocols on one port: the native \
        one (Modelbit's), that of the Dataiku API node, and Open Inference (version 2). A GET \
        answers HEAD too; doubled slashes and one at the end of a path are passed over; the \
        content type is never looked at. 'timeout_seconds' in a native body, \
        X-Request-Timeout-Ms and the Open Inference parameter 'timeout' (microseconds) shorten \
        the time of an answer; X-Switchyard-Force-Backend names the split; the Open Inference \
        parameter 'subject_id' says whose request it is.
        """

    /// The value of a text that stands in this file.
    private static func parsed(_ text: String) -> JSONValue {
        guard let value = try? JSONValue(parsing: Array(text.utf8)) else {
            preconditionFailure("a schema of this file is JSON: \(text)")
        }
        return value
    }

    private static func members(_ text: String) -> [JSONValue.Member] { parsed(text).object ?? [] }

    /// A path that is only read.
    static func get(_ path: String, _ tag: String, _ schema: String) -> JSONValue.Member {
        .init(
            path,
            parsed(
                """
                {"get": {"tags": ["\(tag)"], "responses": {
                "200": {"description": "What there is.", "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/\(schema)"}}}},
                "default": {"$ref": "#/components/responses/Failure"}}}}
                """
            )
        )
    }

    /// A path that says whether something is ready.
    static func readiness(_ path: String) -> JSONValue.Member {
        .init(
            path,
            parsed(
                """
                {"get": {"tags": ["health"], "responses": {
                "200": {"description": "Ready.", "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/Readiness"}}}},
                "503": {"description": "Not ready, with reasons.", "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/Readiness"}}}},
                "default": {"$ref": "#/components/responses/Failure"}}}}
                """
            )
        )
    }

    static let fixedPaths: [JSONValue.Member] =
        [
            get("/health/live", "health", "Live"), readiness("/health/ready"),
            get("/isAlive/", "dataiku", "Live"), get("/openapi.json", "health", "Document"),
            get("/v2", "v2", "ServerMetadata"), get("/v2/health/live", "v2", "Live"),
            readiness("/v2/health/ready"), get("/v2/models/stats", "v2", "ModelStatistics"),
        ]
        + members(
            """
            {"/v2/repository/index": {"post": {"tags": ["v2"],
            "requestBody": {"content": {"application/json": {"schema": {"type": "object",
            "properties": {"ready": {"type": "boolean"}}}}}},
            "responses": {"200": {"description": "Every model.", "content": {"application/json": {
            "schema": {"type": "array",
             "items": {"$ref": "#/components/schemas/RepositoryModel"}}}}},
            "default": {"$ref": "#/components/responses/Failure"}}}}}
            """
        )

    static let failures = members(
        """
        {"Failure": {"description": "Nothing was predicted; one sentence says why.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}},
        "DataikuFailure": {"description": "Nothing was predicted; one sentence says why.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DataikuError"}}}}}
        """
    )

    static let shared = members(
        """
        {"Error": {"type": "object", "required": ["error", "code", "requestId"], "properties": {
         "error": {"type": "string"}, "code": {"type": "string"}, "requestId": {"type": "string"},
         "split": {"$ref": "#/components/schemas/Split"}}},
        "DataikuError": {"type": "object", "required": ["errorType", "message"], "properties": {
         "errorType": {"type": "string"}, "message": {"type": "string"},
         "requestId": {"type": "string"}, "split": {"$ref": "#/components/schemas/Split"}}},
        "Deployment": {"type": "object", "required": ["branch", "name", "version"], "properties": {
         "branch": {"type": "string"}, "name": {"type": "string"}, "version": {"type": "integer"},
         "alias": {"type": "string"}}},
        "Split": {"type": "object", "required": ["configRevision"], "properties": {
         "endpointName": {"type": "string"}, "backendName": {"type": "string"},
         "experimentId": {"type": "string"}, "subjectId": {"type": "string"},
         "assignment": {"enum": ["subject", "coin", "noSubject", "forced", "only", "fallback"]},
         "intendedBackendName": {"type": "string"},
         "deployment": {"$ref": "#/components/schemas/Deployment"},
         "configRevision": {"type": "integer"}}},
        "Batch": {"type": "object", "required": ["data", "requestId", "splits", "rowSplits"],
         "properties": {
         "data": {"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 2}},
         "requestId": {"type": "string"},
         "splits": {"type": "array", "items": {"$ref": "#/components/schemas/Split"}},
         "rowSplits": {"type": "array", "items": {"type": "integer"}},
         "subjectIds": {"type": "array", "items": {"type": ["string", "null"]}}}},
        "Timing": {"type": "object", "description": "Microseconds.",
         "additionalProperties": {"type": "integer"}},
        "DataikuPrediction": {"type": "object", "required": ["prediction", "ignored"],
         "properties": {"prediction": {}, "ignored": {"type": "boolean"},
         "probas": {"type": "object", "additionalProperties": {"type": "number"}},
         "probaPercentile": {"type": "integer", "minimum": 0, "maximum": 100},
         "apiContext": {"$ref": "#/components/schemas/ApiContext"}}},
        "ApiContext": {"type": "object", "properties": {"serviceId": {"type": "string"},
         "endpointId": {"type": "string"}, "serviceGeneration": {"type": "string"}}},
        "DataikuResult": {"type": "object", "required": ["result", "timing", "apiContext"],
         "properties": {"result": {"$ref": "#/components/schemas/DataikuPrediction"},
         "timing": {"$ref": "#/components/schemas/Timing"},
         "apiContext": {"$ref": "#/components/schemas/ApiContext"},
         "requestId": {"type": "string"}, "split": {"$ref": "#/components/schemas/Split"}}},
        "DataikuResults": {"type": "object", "required": ["results", "timing", "apiContext"],
         "properties": {"results": {"type": "array",
          "items": {"$ref": "#/components/schemas/DataikuPrediction"}},
         "timing": {"$ref": "#/components/schemas/Timing"},
         "apiContext": {"$ref": "#/components/schemas/ApiContext"},
         "requestId": {"type": "string"}}},
        "Tensor": {"type": "object", "required": ["name", "datatype", "shape"], "properties": {
         "name": {"type": "string"},
         "datatype": {"enum": ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16",
          "INT32", "INT64", "FP16", "BF16", "FP32", "FP64", "BYTES"]},
         "shape": {"type": "array", "items": {"type": "integer"}}}},
        "Inference": {"type": "object", "required": ["model_name", "model_version", "outputs"],
         "properties": {"model_name": {"type": "string"}, "model_version": {"type": "string"},
         "id": {"type": "string"}, "parameters": {"type": "object"},
         "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}}}},
        "ServerMetadata": {"type": "object", "required": ["name", "version", "extensions"],
         "properties": {"name": {"type": "string"}, "version": {"type": "string"},
         "extensions": {"type": "array", "items": {"type": "string"}}}},
        "ModelMetadata": {"type": "object",
         "required": ["name", "versions", "platform", "inputs", "outputs"], "properties": {
         "name": {"type": "string"}, "versions": {"type": "array", "items": {"type": "string"}},
         "platform": {"type": "string"},
         "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
         "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}}}},
        "ModelConfiguration": {"type": "object", "required": ["name", "input", "output"]},
        "ModelStatistics": {"type": "object", "required": ["model_stats"], "properties": {
         "model_stats": {"type": "array", "items": {"type": "object",
          "required": ["name", "version", "inference_stats"]}}}},
        "RepositoryModel": {"type": "object", "required": ["name", "state"], "properties": {
         "name": {"type": "string"}, "version": {"type": "string"},
         "state": {"enum": ["READY", "UNAVAILABLE"]}, "reason": {"type": "string"}}},
        "Live": {"type": "object", "required": ["live"], "properties": {
         "live": {"type": "boolean"}}},
        "Readiness": {"type": "object", "required": ["ready", "reasons"], "properties": {
         "ready": {"type": "boolean"}, "reasons": {"type": "array", "items": {"type": "string"}}}},
        "Document": {"type": "object", "required": ["openapi", "info", "paths"]}}
        """
    )
}
