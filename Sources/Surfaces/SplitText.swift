// The parts of an answer and of a log record that do not depend on the request. They are written
// once, when a snapshot is built; a request only puts them together.

import Bytes
package import Endpoints
import JSON

/// The prepared text of one split of one endpoint, or of one deployment, in one revision.
package final class SplitText: Sendable {
    /// `"endpointName":…,"backendName":…` and `"experimentId":…` where there is one; empty for a
    /// deployment that is called by its own name.
    package let opening: [UInt8]
    /// `"deployment":{…}` where there is one, and `"configRevision":…`; begins with a comma unless
    /// `opening` is empty.
    package let closing: [UInt8]
    /// `X-Switchyard-Backend` and `X-Switchyard-Deployment` where there is one, each with its end.
    package let fields: [UInt8]
    /// `opening` as a log record has it: with a comma before it, and the algorithm behind it.
    package let recordOpening: [UInt8]
    /// `,"configRevision":…`, `,"weights":{…}` and `,"deployment":{…}` where there is one: the
    /// order of a log record.
    package let recordClosing: [UInt8]

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
        var algorithm: [UInt8] = []
        if let experiment = endpoint.experiment {
            opening.append(",\"experimentId\":")
            opening.append(jsonString: experiment.id)
            algorithm.append(",\"algorithm\":\"\(Assigner.algorithm)\"")
        }
        var deployment: [UInt8] = []
        var fields: [UInt8] = []
        fields.append("X-Switchyard-Backend: \(split.name)\r\n")
        if case .deployment(let reference) = split.backend, let version {
            deployment = SplitText.deployment(reference, version)
            fields.append(contentsOf: SplitText.field(reference, version))
        }
        let number = Array(",\"configRevision\":\(revision)".utf8)
        let comma = Array(",".utf8)
        self.opening = opening
        self.fields = fields
        closing = (deployment.isEmpty ? [] : comma + deployment) + number
        recordOpening = comma + opening + algorithm
        recordClosing =
            number + SplitText.weights(endpoint) + (deployment.isEmpty ? [] : comma + deployment)
    }

    /// The text of a deployment that is called by its own name.
    package init(direct reference: DeploymentReference, version: Int, revision: Int) {
        let deployment = SplitText.deployment(reference, version)
        let number = Array(",\"configRevision\":\(revision)".utf8)
        opening = []
        recordOpening = []
        closing = deployment + number
        recordClosing = number + Array(",".utf8) + deployment
        fields = SplitText.field(reference, version)
    }

    /// `"deployment":{…}`
    private static func deployment(_ reference: DeploymentReference, _ version: Int) -> [UInt8] {
        var text: [UInt8] = []
        text.append("\"deployment\":{\"branch\":")
        text.append(jsonString: reference.branch)
        text.append(",\"name\":")
        text.append(jsonString: reference.name)
        text.append(",\"version\":\(version)")
        if let alias = reference.version.alias {
            text.append(",\"alias\":")
            text.append(jsonString: alias)
        }
        text.append("}")
        return text
    }

    private static func field(_ reference: DeploymentReference, _ version: Int) -> [UInt8] {
        Array(
            "X-Switchyard-Deployment: \(reference.branch)/\(reference.name)/\(version)\r\n".utf8
        )
    }

    /// `,"weights":{…}` of an endpoint.
    private static func weights(_ endpoint: Endpoint) -> [UInt8] {
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
