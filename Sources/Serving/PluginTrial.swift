// Asking one model without a host: an author's inner loop.

import Deployments
import Endpoints
import JSON
package import PluginHost
import Surfaces

/// Asks a model as a host would.
package enum PluginTrial {
    /// Asks a model with the `data` of a request, and returns the body of the answer that a direct
    /// call gets; without data asks it all its examples, and throws for one that fails.
    package static func ask(_ instance: ModelInstance, data: String?) throws -> [UInt8]? {
        let description = try ModelDescription(json: instance.plugin.description)
        if let reason = description.reasonNotToRun { throw TrialError(description: reason) }
        if let data { return answer(instance, description, data).body }
        for example in description.examples {
            if let failure = answer(instance, description, example.text).failure {
                throw TrialError(
                    description: "the example \(example.text) that the model answers with "
                        + "'\(failure.sentence)' (\(failure.code.rawValue))"
                )
            }
        }
        return nil
    }

    private static func answer(
        _ instance: ModelInstance,
        _ description: ModelDescription,
        _ data: String
    ) -> (body: [UInt8], failure: Failure?) {
        guard let deployment = DeploymentName(branch: "main", name: "plugin") else {
            preconditionFailure("a word of letters is a name")
        }
        let version = LoadedVersion(
            deployment: deployment,
            number: 1,
            pluginHash: "",
            description: description,
            instance: instance
        )
        let reference = DeploymentReference(branch: "main", name: "plugin", version: .number(1))
        let text = SplitText(direct: reference, version: 1, revision: 0)
        let target = PreparedSplit(name: "", backend: .model(version), text: text)
        let predictor = Predictor(ServerConfiguration(), coin: CoinGenerator(seed: 1))
        let content = Array("{\"data\":\(data)}".utf8)
        let requestID = Array("trial".utf8)
        var body: [UInt8] = []
        do throws(Failure) {
            try predictor.predict(
                .deployment(target),
                forced: nil,
                in: content.span,
                content.span,
                requestID: requestID
            )
            NativeSurface.appendAnswer(
                predictor.outcome,
                to: predictor.call,
                of: predictor.document,
                in: content.span,
                requestID: requestID,
                body: &body
            )
            return (body, nil)
        } catch {
            NativeSurface.appendFailure(
                error,
                predictor.outcome,
                requestID: requestID,
                body: &body
            )
            return (body, error)
        }
    }
}

/// Why a model cannot be run, or which example it cannot answer.
private struct TrialError: Error, CustomStringConvertible {
    let description: String
}
