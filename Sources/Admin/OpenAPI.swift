// The document at `/openapi.json`.

enum OpenAPI {
    static let text = "{}\n"
}
