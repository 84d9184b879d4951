// Asking one model without a host: an author's inner loop.

import Deployments
import Endpoints
import JSON
package import PluginHost
import Surfaces

/// Asks a model as a host would.
package enum PluginTrial {
    /// The body of the answer that a direct call of the model gets.
    ///
    /// - Parameters:
    ///   - instance: the model.
    ///   - data: the `data` of the request: JSON.
    package static func answer(_ instance: ModelInstance, data: String) throws -> [UInt8] {
        guard let deployment = DeploymentName(branch: "main", name: "plugin") else { return [] }
        let version = LoadedVersion(
            deployment: deployment,
            number: 1,
            pluginHash: "",
            description: try ModelDescription(json: instance.plugin.description),
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
        } catch {
            NativeSurface.appendFailure(
                error,
                predictor.outcome,
                requestID: requestID,
                body: &body
            )
        }
        return body
    }
}
