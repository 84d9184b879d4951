// A sample plugin, asked as the host asks it: JSON text, bound to the declared inputs, one call.

import Bytes
import Endpoints
import JSON
import Platform
import PluginHost
import TestSupport

/// One instance of a sample.
struct Sample {
    let instance: ModelInstance
    let description: ModelDescription
    private let binding: InputBinding
    private let frame = CallFrame()

    /// Every plugin is opened once, and the contract's load thread is whoever holds this lock.
    private static let opened = Guarded<[String: Plugin]>([:])

    /// The folder of the tumor classifier's resources.
    static let treesFolder = "\(Built.repository)/Plugins/tumor_classifier/resources"

    init(_ name: String, resources: String = "") throws {
        instance = try Self.opened.withLock { opened in
            let plugin = try opened[name] ?? Self.open(Built.plugin(name))
            opened[name] = plugin
            return try ModelInstance(
                plugin: plugin,
                name: name,
                version: 1,
                settings: "{}",
                resources: resources,
                log: { _, _, _ in }
            )
        }
        description = try ModelDescription(json: instance.plugin.description)
        binding = InputBinding(description.inputs)
    }

    private static func open(_ path: String) throws -> Plugin {
        try Plugin(path: path, bytes: File.read(path, limit: 1 << 28), shownAs: path)
    }

    /// Asks with the `data` of a request: a list holds the arguments, anything else is the one.
    func ask(_ data: String) throws -> String {
        let text = Array(data.utf8)
        let values = try bound(text)
        return answer(values, text)
    }

    /// How many allocations a thousand calls with this `data` cost; nil under a sanitizer.
    func allocations(_ data: String) throws -> Int? {
        let text = Array(data.utf8)
        let values = try bound(text)
        let id: [UInt8] = []
        return AllocationCount.during(calls: 1000) {
            _ = instance.predict(
                values.span,
                in: text.span,
                requestID: id.span,
                deadline: 0,
                frame: frame
            )
        }
    }

    private func bound(_ text: [UInt8]) throws -> [JSONReference] {
        var document = JSONDocument()
        try document.parse(text.span)
        let isList = document.entries[0].kind == .array
        var values: [JSONReference] = []
        let arguments = isList ? document.children(of: 0) : [0]
        try binding.bind(arguments.span, of: document, in: text.span, to: &values)
        return values
    }

    private func answer(_ values: [JSONReference], _ text: [UInt8]) -> String {
        let id: [UInt8] = []
        switch instance.predict(
            values.span,
            in: text.span,
            requestID: id.span,
            deadline: 0,
            frame: frame
        )
        {
        case .unreadable(let position): return "unreadable \(position)"
        case .failed(let status, let message): return "\(status): \(message)"
        case .answered: return frame.withResult { Bytes.string($0, 0..<$0.count) }
        }
    }
}
