// Reads the resource that its settings name, at most 16 bytes of it, and answers with its size.
import JSON
public import ModelPlugin

struct ResourceModel: Model {
    static let description = ModelDescription(undeclaredInputs: "nothing")

    private let resource: [UInt8]

    init(_ context: ModelContext) throws {
        let settings = try JSONValue(parsing: Array(context.settings.utf8))
        resource = try context.resource(named: settings["name"]?.string ?? "", bytesMaximum: 16)
    }

    func predict(_ call: borrowing ModelCall, into result: inout ModelResult) throws {
        result.write(Double(resource.count))
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { ResourceModel.plugin(for: host) }
