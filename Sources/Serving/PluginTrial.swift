// Asking one model without a host: an author's inner loop.

import Bytes
package import Deployments
import Endpoints
import HTTP
import JSON
import Platform
package import PluginHost
import Surfaces

/// Asks a model as a host would.
package enum PluginTrial {
    /// Asks a model with the `data` of a request, and returns the body of the answer that a direct
    /// call gets; without data asks it all its examples and the further ones of a JSON list, and
    /// throws for one that fails.
    package static func ask(
        _ instance: ModelInstance,
        data: String?,
        examples: String = "[]"
    ) throws -> [UInt8]? {
        let description = try ModelDescription(json: instance.plugin.description)
        guard let deployment = DeploymentName(branch: "main", name: "plugin") else {
            preconditionFailure("a word of letters is a name")
        }
        if let tensors = instance.plugin.tensorsDescription {
            _ = try TensorsDescription(json: tensors)
        }
        let further = try JSONValue(parsing: Array(examples.utf8)).array ?? []
        let version = LoadedVersion(
            deployment: deployment,
            number: 1,
            pluginHash: "",
            description: description,
            instance: instance,
            execution: Execution(description),
            examples: description.examples + further
        )
        if let data { return answer(version, data).body }
        try warmUp(version)
        return nil
    }

    /// Asks a version all its examples; throws for one that fails.
    package static func warmUp(_ version: LoadedVersion) throws(TrialError) {
        for example in version.examples {
            try warmUp(version, with: example)
        }
    }

    /// Asks a version one example; throws if it fails.
    static func warmUp(_ version: LoadedVersion, with example: JSONValue) throws(TrialError) {
        guard let failure = answer(version, example.text).failure else { return }
        throw TrialError(
            description: "the example \(example.text) that the model answers with "
                + "'\(failure.sentence)' (\(failure.code.rawValue))"
        )
    }

    private static func answer(
        _ version: LoadedVersion,
        _ data: String
    ) -> (body: [UInt8], failure: Failure?) {
        let model = ServedModel(version, staysInline: true)
        let reference = DeploymentReference(branch: "main", name: "plugin", version: .number(1))
        let text = SplitText(direct: reference, version: 1, revision: 0)
        let target = PreparedSplit(
            name: "",
            backend: .model(model),
            text: text,
            metrics: SplitMetrics(SeriesKey(), loops: 0)
        )
        let predictor = Predictor(
            ServerConfiguration(),
            runDelay: RunDelay()
        )
        let content = Array("{\"data\":\(data)}".utf8)
        predictor.requestID.append("trial")
        var body = ByteBuffer()
        do throws(Failure) {
            try predictor.predict(
                .deployment(target),
                .native,
                RequestHead(),
                in: content.span,
                content.span,
                startedAt: MonotonicClock.now()
            )
            NativeSurface.appendAnswer(
                predictor.outcome,
                to: predictor.call,
                of: predictor.document,
                in: content.span,
                requestID: predictor.requestID,
                body: &body
            )
            return (body.bytes, nil)
        } catch {
            Surface.native.appendFailure(
                error,
                predictor.outcome,
                requestID: predictor.requestID,
                body: &body
            )
            return (body.bytes, error)
        }
    }
}

/// Why a model cannot be run, or which example it cannot answer.
package struct TrialError: Error, CustomStringConvertible {
    package let description: String
}
