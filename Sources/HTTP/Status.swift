/// The statuses that this server answers with, and their reason phrases.
package enum Status: Int, Sendable {
    case `continue` = 100
    case ok = 200
    case badRequest = 400
    case unauthorized = 401
    case forbidden = 403
    case notFound = 404
    case methodNotAllowed = 405
    case requestTimeout = 408
    case conflict = 409
    case contentTooLarge = 413
    case uriTooLong = 414
    case unsupportedMediaType = 415
    case expectationFailed = 417
    case tooManyRequests = 429
    case headerFieldsTooLarge = 431
    case internalServerError = 500
    case notImplemented = 501
    case serviceUnavailable = 503
    case gatewayTimeout = 504
    case versionNotSupported = 505

    /// The reason phrase of RFC 9110.
    package var reason: StaticString {
        switch self {
        case .continue: "Continue"
        case .ok: "OK"
        case .badRequest: "Bad Request"
        case .unauthorized: "Unauthorized"
        case .forbidden: "Forbidden"
        case .notFound: "Not Found"
        case .methodNotAllowed: "Method Not Allowed"
        case .requestTimeout: "Request Timeout"
        case .conflict: "Conflict"
        case .contentTooLarge: "Content Too Large"
        case .uriTooLong: "URI Too Long"
        case .unsupportedMediaType: "Unsupported Media Type"
        case .expectationFailed: "Expectation Failed"
        case .tooManyRequests: "Too Many Requests"
        case .headerFieldsTooLarge: "Request Header Fields Too Large"
        case .internalServerError: "Internal Server Error"
        case .notImplemented: "Not Implemented"
        case .serviceUnavailable: "Service Unavailable"
        case .gatewayTimeout: "Gateway Timeout"
        case .versionNotSupported: "HTTP Version Not Supported"
        }
    }
}

/// A fault in a request's framing. The connection cannot be used after it.
package struct HTTPFault: Error, Equatable, Sendable {
    /// What to answer with.
    package let status: Status
    /// One sentence for the client.
    package let problem: String
    /// The protocol that was spoken instead of HTTP/1; nil: none that is known.
    package let foreign: ForeignProtocol?

    package init(_ status: Status, _ problem: String, foreign: ForeignProtocol? = nil) {
        self.status = status
        self.problem = problem
        self.foreign = foreign
    }
}

/// How much of a request this server takes.
package struct HTTPLimits: Sendable, Equatable {
    /// Bytes of the request line, its end not included.
    package var requestLineBytes = 8 * 1024
    /// Bytes of all header fields, their ends included.
    package var headerBytes = 16 * 1024
    /// Number of header fields.
    package var headerCount = 100
    /// Bytes of a body as they came over the wire, chunk framing included.
    package var bodyBytes = 32 * 1024 * 1024

    package init() {}
}
