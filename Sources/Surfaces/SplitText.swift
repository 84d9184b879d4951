// The parts of an answer and of a log record that do not depend on the request. They are written
// once, when a snapshot is built; a request only puts them together.

package import Bytes
package import Endpoints
import JSON

/// The prepared text of one split of one endpoint, or of one deployment, in one revision.
///
/// All of it lies in one piece: with thousands of endpoints what counts is how much memory a
/// request has to touch.
package final class SplitText: Sendable {
    private let bytes: [UInt8]
    // Where each part ends; it begins where the one before it ends.
    private let openingEnd: UInt32
    private let algorithmEnd: UInt32
    private let deploymentEnd: UInt32
    private let numberEnd: UInt32
    private let weightsEnd: UInt32
    private let fieldsEnd: UInt32
    /// Where the name of the split stands, as a JSON string; for a deployment that is called by its
    /// own name the number of its version.
    private let armStart: UInt32
    private let armEnd: UInt32
    /// What its results are.
    package let output: OutputDescription

    /// The text of a split.
    ///
    /// - Parameters:
    ///   - endpoint: whose split it is.
    ///   - split: the split.
    ///   - version: the number that the split's version was resolved to; nil for a static value.
    ///   - revision: the number of the revision.
    ///   - output: what its results are.
    package convenience init(
        endpoint: Endpoint,
        split: Split,
        version: Int?,
        revision: Int,
        output: OutputDescription = .unknown
    ) {
        var opening: [UInt8] = []
        opening.append("\"endpointName\":")
        opening.append(jsonString: endpoint.name)
        opening.append(",\"backendName\":")
        let arm = opening.count
        opening.append(jsonString: split.name)
        let place = arm..<opening.count
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
        self.init(
            [
                opening, algorithm, deployment, SplitText.number(revision),
                SplitText.weights(endpoint), fields,
            ],
            SplitText.parameters(endpoint, split, version, revision),
            arm: place,
            output
        )
    }

    /// The text of a deployment that is called by its own name.
    package convenience init(
        direct reference: DeploymentReference,
        version: Int,
        revision: Int,
        output: OutputDescription = .unknown
    ) {
        let deployment = SplitText.deployment(reference, version)
        let fields = SplitText.field(reference, version)
        let parameters = SplitText.parameters(reference, version, revision)
        // The number stands at the end of all, as a string, where nothing else is read.
        let end =
            deployment.count + SplitText.number(revision).count + fields.count + parameters.count
        let arm = Array("\"\(version)\"".utf8)
        self.init(
            [[], [], deployment, SplitText.number(revision), [], fields],
            parameters,
            arm: end..<end + arm.count,
            tail: arm,
            output
        )
    }

    private init(
        _ parts: [[UInt8]],
        _ parameters: [UInt8],
        arm: Range<Int>,
        tail: [UInt8] = [],
        _ output: OutputDescription
    ) {
        var ends: [UInt32] = []
        var bytes: [UInt8] = []
        bytes.reserveCapacity(parts.reduce(parameters.count + tail.count) { $0 + $1.count })
        for part in parts {
            bytes += part
            ends.append(UInt32(bytes.count))
        }
        self.bytes = bytes + parameters + tail
        (openingEnd, algorithmEnd, deploymentEnd) = (ends[0], ends[1], ends[2])
        (numberEnd, weightsEnd, fieldsEnd) = (ends[3], ends[4], ends[5])
        (armStart, armEnd) = (UInt32(arm.lowerBound), UInt32(arm.upperBound))
        self.output = output
    }

    /// `,"configRevision":…`
    private static func number(_ revision: Int) -> [UInt8] {
        Array(",\"configRevision\":\(revision)".utf8)
    }

    // MARK: Parts

    private func append(_ part: Range<Int>, _ buffer: inout ByteBuffer) {
        let bytes = bytes
        buffer.append(bytes.span.extracting(part))
    }

    private var opening: Range<Int> { 0..<Int(openingEnd) }
    private var deployment: Range<Int> { Int(algorithmEnd)..<Int(deploymentEnd) }

    /// Appends `"endpointName":…,"backendName":…` and `"experimentId":…` where there is one;
    /// nothing for a deployment that is called by its own name.
    func appendOpening(to buffer: inout ByteBuffer) {
        append(opening, &buffer)
    }

    /// Appends `"deployment":{…}` where there is one, and `"configRevision":…`, with a comma before
    /// it unless nothing stands before it.
    func appendClosing(to buffer: inout ByteBuffer) {
        if !deployment.isEmpty, !opening.isEmpty { buffer.append(UInt8(ascii: ",")) }
        append(Int(algorithmEnd)..<Int(numberEnd), &buffer)
    }

    /// Appends the opening as a log record has it: a comma before it, the algorithm behind it.
    package func appendRecordOpening(to buffer: inout ByteBuffer) {
        guard !opening.isEmpty else { return }
        buffer.append(UInt8(ascii: ","))
        append(0..<Int(algorithmEnd), &buffer)
    }

    /// Appends `,"configRevision":…`, `,"weights":{…}` and `,"deployment":{…}` where there are
    /// such: the order of a log record.
    package func appendRecordClosing(to buffer: inout ByteBuffer) {
        append(Int(deploymentEnd)..<Int(weightsEnd), &buffer)
        guard !deployment.isEmpty else { return }
        buffer.append(UInt8(ascii: ","))
        append(deployment, &buffer)
    }

    /// Appends `X-Switchyard-Backend` and `X-Switchyard-Deployment` where there are such, each with
    /// its end.
    package func appendFields(to buffer: inout ByteBuffer) {
        append(Int(weightsEnd)..<Int(fieldsEnd), &buffer)
    }

    /// Appends the name of the split, or of the version that is called by its own name, as a JSON
    /// string.
    func appendArm(to buffer: inout ByteBuffer) {
        append(Int(armStart)..<Int(armEnd), &buffer)
    }

    /// Appends what Open Inference gives as parameters of an answer, each with a comma before it.
    func appendParameters(to buffer: inout ByteBuffer) {
        let end = opening.isEmpty ? Int(armStart) : bytes.count
        append(Int(fieldsEnd)..<end, &buffer)
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

    /// The parameters of an answer of an endpoint.
    private static func parameters(
        _ endpoint: Endpoint,
        _ split: Split,
        _ version: Int?,
        _ revision: Int
    ) -> [UInt8] {
        var text: [UInt8] = []
        text.append(",\"endpoint_name\":")
        text.append(jsonString: endpoint.name)
        text.append(",\"backend_name\":")
        text.append(jsonString: split.name)
        if let experiment = endpoint.experiment {
            text.append(",\"experiment_id\":")
            text.append(jsonString: experiment.id)
        }
        guard case .deployment(let reference) = split.backend, let version else {
            return text + Array(",\"config_revision\":\(revision)".utf8)
        }
        return text + parameters(reference, version, revision)
    }

    /// The parameters of an answer of a deployment.
    private static func parameters(
        _ reference: DeploymentReference,
        _ version: Int,
        _ revision: Int
    ) -> [UInt8] {
        var text: [UInt8] = []
        text.append(",\"deployment\":")
        text.append(jsonString: "\(reference.deployment)/\(version)")
        if let alias = reference.version.alias {
            text.append(",\"alias\":")
            text.append(jsonString: alias)
        }
        text.append(",\"config_revision\":\(revision)")
        return text
    }

    private static func field(_ reference: DeploymentReference, _ version: Int) -> [UInt8] {
        Array(
            "X-Switchyard-Deployment: \(reference.deployment)/\(version)\r\n".utf8
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
