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
        }
    }

    /// The status on the native surface. A client there sends again on 429 and 5xx, so what was
    /// executed never answers one.
    package var nativeStatus: Status {
        switch self {
        case .badRequest, .badJSON, .badInput, .modelFailed, .modelCrashed: .badRequest
        case .endpointNotFound, .deploymentNotFound, .versionNotLoaded, .backendNotFound,
            .routeNotFound:
            .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .tooLarge: .contentTooLarge
        case .deadlineExceeded: .requestTimeout
        case .notReady, .draining, .queueFull, .deploymentQuarantined: .serviceUnavailable
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
