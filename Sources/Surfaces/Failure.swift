// Everything that a request can come to other than an answer, and what each surface makes of it.
// This is the only place that turns a code into a status.

import Bytes
package import HTTP
import JSON

/// A stable word for a kind of failure. Codes are documented and never change their meaning.
package enum FailureCode: String, Sendable, CaseIterable {
    case badRequest = "bad_request"
    case badJSON = "bad_json"
    case badInput = "bad_input"
    case endpointNotFound = "endpoint_not_found"
    case deploymentNotFound = "deployment_not_found"
    case versionNotLoaded = "version_not_loaded"
    case backendNotFound = "backend_not_found"
    case routeNotFound = "route_not_found"
    case methodNotAllowed = "method_not_allowed"
    case tooLarge = "too_large"
    case modelFailed = "model_failed"
    case deadlineExceeded = "deadline_exceeded"
    case notReady = "not_ready"
    case draining = "draining"
    case queueFull = "queue_full"
    case modelCrashed = "model_crashed"
    case deploymentQuarantined = "deployment_quarantined"
    case unsupported = "unsupported"
    case unsupportedEncoding = "unsupported_encoding"
    case endpointDisabled = "endpoint_disabled"
    case modelControlOff = "model_control_off"

    /// A number from 0 on for each code, for tables.
    package var place: Int {
        switch self {
        case .badRequest: 0
        case .badJSON: 1
        case .badInput: 2
        case .endpointNotFound: 3
        case .deploymentNotFound: 4
        case .versionNotLoaded: 5
        case .backendNotFound: 6
        case .routeNotFound: 7
        case .methodNotAllowed: 8
        case .tooLarge: 9
        case .modelFailed: 10
        case .deadlineExceeded: 11
        case .notReady: 12
        case .draining: 13
        case .queueFull: 14
        case .modelCrashed: 15
        case .deploymentQuarantined: 16
        case .unsupported: 17
        case .unsupportedEncoding: 18
        case .endpointDisabled: 19
        case .modelControlOff: 20
        }
    }

    /// The status on a surface. A client of the native one sends again on 429, 500, 502, 503 and
    /// 504, so what was executed never answers one of those there.
    package func status(on surface: Surface) -> Status {
        switch self {
        case .modelFailed, .modelCrashed: surface == .native ? .badRequest : .internalServerError
        case .deadlineExceeded: surface == .native ? .requestTimeout : .gatewayTimeout
        case .badRequest, .badJSON, .badInput: .badRequest
        case .endpointNotFound, .deploymentNotFound, .versionNotLoaded, .backendNotFound,
            .routeNotFound:
            .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .tooLarge: .contentTooLarge
        case .unsupported: .notImplemented
        case .unsupportedEncoding: .unsupportedMediaType
        case .notReady, .draining, .queueFull, .deploymentQuarantined, .endpointDisabled,
            .modelControlOff:
            .serviceUnavailable
        }
    }

    /// Whether the same request may be answered when it is sent again later.
    package var isPassing: Bool {
        switch self {
        case .notReady, .draining, .queueFull, .deploymentQuarantined, .endpointDisabled: true
        default: false
        }
    }
}

/// One failure: its code, and one sentence for the client.
package struct Failure: Error, Equatable, Sendable {
    package let code: FailureCode
    package let sentence: String

    package init(_ code: FailureCode, _ sentence: String) {
        self.code = code
        self.sentence = sentence
    }
}
