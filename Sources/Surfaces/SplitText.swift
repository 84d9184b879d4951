// The parts of an answer and of a log record that do not depend on the request. They are written
// once, when a snapshot is built; a request only puts them together.

import Bytes
package import Endpoints
import JSON

/// The prepared text of one split of one endpoint in one revision.
package struct SplitText: Sendable {
    /// `"endpointName":…,"backendName":…` and `"experimentId":…` where there is one.
    package let opening: [UInt8]
    /// `,"deployment":{…}` where there is one, and `,"configRevision":…`.
    package let closing: [UInt8]
    /// `X-Switchyard-Backend` and, where there is one, `X-Switchyard-Deployment`, each with its
    /// end.
    package let fields: [UInt8]
    /// `,"configRevision":…,"weights":{…}` and, where there is one, `,"deployment":{…}`: the order
    /// of a log record.
    package let record: [UInt8]

    /// The text of a split.
    ///
    /// - Parameters:
    ///   - endpoint: whose split it is.
    ///   - split: the split.
    ///   - version: the number that the split's version was resolved to; nil for a static value.
    ///   - revision: the number of the revision.
    package init(endpoint: Endpoint, split: Split, version: Int?, revision: Int) {
        var opening: [UInt8] = []
        opening.append("\"endpointName\":")
        opening.append(jsonString: endpoint.name)
        opening.append(",\"backendName\":")
        opening.append(jsonString: split.name)
        if let experiment = endpoint.experiment {
            opening.append(",\"experimentId\":")
            opening.append(jsonString: experiment.id)
        }
        self.opening = opening

        var deployment: [UInt8] = []
        var fields: [UInt8] = []
        fields.append("X-Switchyard-Backend: \(split.name)\r\n")
        if case .deployment(let reference) = split.backend, let version {
            deployment.append(",\"deployment\":{\"branch\":")
            deployment.append(jsonString: reference.branch)
            deployment.append(",\"name\":")
            deployment.append(jsonString: reference.name)
            deployment.append(",\"version\":\(version)")
            if let alias = reference.version.alias {
                deployment.append(",\"alias\":")
                deployment.append(jsonString: alias)
            }
            deployment.append("}")
            let path = "\(reference.branch)/\(reference.name)/\(version)"
            fields.append("X-Switchyard-Deployment: \(path)\r\n")
        }
        let number = Array(",\"configRevision\":\(revision)".utf8)
        closing = deployment + number
        self.fields = fields
        record = number + SplitText.weights(endpoint) + deployment
    }

    /// `,"weights":{…}` of an endpoint.
    package static func weights(_ endpoint: Endpoint) -> [UInt8] {
        var text: [UInt8] = []
        text.append(",\"weights\":{")
        for (index, split) in endpoint.splits.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.append(jsonString: split.name)
            text.append(":\(split.weightText)")
        }
        text.append("}")
        return text
    }
}
