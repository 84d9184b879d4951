// Endpoint files: what is accepted can be served, what is refused has its errors shown.

import Endpoints
import FuzzSupport
import JSON
import YAML

/// Runs one input.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    switch EndpointFile.read(name: "fuzz", text: input) {
    case .endpoint(let endpoint): EndpointFuzzer.check(endpoint, input)
    case .errors(let errors): EndpointFuzzer.check(errors, input)
    }
    return 0
}

private enum EndpointFuzzer {
    static func check(_ endpoint: Endpoint, _ text: [UInt8]) {
        let splits = endpoint.splits
        Property.require(!splits.isEmpty, "an endpoint has a split")
        Property.require(splits.count <= EndpointFile.splitsMaximum, "\(splits.count) splits")
        Property.require(Set(splits.map(\.name)).count == splits.count, "names stand once")
        Property.require(Names.isName(endpoint.service), "'\(endpoint.service)' is a name")
        let sum = splits.reduce(0) { $0 + $1.weight }
        Property.require(sum > 0 && sum.isFinite, "the weights' sum is \(sum)")
        for split in splits {
            Property.require(Names.isName(split.name), "'\(split.name)' is a name")
            Property.require(split.weight >= 0 && split.weight.isFinite, "weight \(split.weight)")
            requireJSON(split.weightText)
            switch split.backend {
            case .value(let text): requireJSON(text)
            case .deployment(let reference):
                Property.require(Names.isBranch(reference.branch), "'\(reference.branch)'")
                Property.require(Names.isName(reference.name), "'\(reference.name)'")
                let version = VersionReference(reference.version.description)
                Property.require(version == reference.version, "\(reference.version)")
            }
            _ = EndpointFile.mark(ofDeployment: split.name, text: text)
        }
        if let experiment = endpoint.experiment {
            Property.require(Names.isName(experiment.id), "'\(experiment.id)' is a name")
        }
        let assigner = Assigner(experiment: endpoint.experiment?.id ?? "", splits: splits)
        for chosen in [
            assigner.split(subject: text.span), assigner.split(random: 0),
            assigner.split(random: .max),
        ] {
            Property.require(splits[chosen].weight > 0, "'\(splits[chosen].name)' has no weight")
        }
    }

    static func check(_ errors: [YAMLError], _ text: [UInt8]) {
        Property.require(!errors.isEmpty, "what is refused has an error")
        for error in errors {
            Property.require(error.mark.line >= 1 && error.mark.column >= 1, "\(error.mark)")
            let shown = error.rendered(file: "endpoints/fuzz.yaml", text: text)
            Property.require(shown.utf8.count { $0 == 0x0a } <= 3, "an error has four lines")
            for byte in shown.utf8 {
                Property.require(byte >= 0x20 && byte != 0x7f || byte == 0x0a, "it is plain text")
            }
        }
    }

    private static func requireJSON(_ text: String) {
        let isJSON = (try? JSONValue(parsing: Array(text.utf8))) != nil
        Property.require(isJSON, "'\(text)' is JSON")
    }
}
