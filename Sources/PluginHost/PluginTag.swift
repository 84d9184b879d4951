// The tag of a plugin, read from the file before any of its code runs.

/// What `model_plugin_abi` says.
package struct PluginTag: Equatable, Sendable {
    package let major: UInt32
    package let minor: UInt32
    /// The compiler that built the plugin, in its own words.
    package let build: String

    static let symbol = "model_plugin_abi"
    static let entrySymbol = "model_plugin_entry"
    static let bytes: UInt64 = 64
    static let magic = Array("MODELABI".utf8)

    /// Reads the tag of a checked file and holds it against this host's contract.
    package init(of file: ELFFile) throws(PluginError) {
        guard let symbol = file.symbols.first(where: { $0.name == Self.symbol }) else {
            throw file.refuse(
                "no symbol \(Self.symbol)",
                wanted: "the tag of a model plugin",
                "write MODEL_PLUGIN_TAG once in a C plugin, or link the target CModelTag (SwiftPM)"
            )
        }
        guard let at = file.fileOffset(ofAddress: symbol.value, count: Self.bytes) else {
            throw file.refuse(
                "a tag that is not in the file's data",
                wanted: "a constant tag of 64 bytes",
                "declare \(Self.symbol) with MODEL_PLUGIN_TAG"
            )
        }
        let tag = Array(file.bytes[Int(at)..<Int(at + Self.bytes)])
        guard Array(tag[..<8]) == Self.magic, file.number(at + 8, 4) == Self.bytes else {
            throw file.refuse(
                "a tag with a wrong magic or size",
                wanted: "'MODELABI' and 64 bytes",
                "declare \(Self.symbol) with MODEL_PLUGIN_TAG of model_plugin.h"
            )
        }
        major = UInt32(file.number(at + 12, 4) ?? 0)
        minor = UInt32(file.number(at + 16, 4) ?? 0)
        build = String(decoding: tag[24...].prefix { $0 >= 0x20 && $0 < 0x7f }, as: UTF8.self)
        guard major == ContractVersion.major, minor <= ContractVersion.minor else {
            throw file.refuse(
                "a plugin for contract \(major).\(minor)",
                wanted: "\(ContractVersion.major).\(ContractVersion.minor) or an older minor",
                major > ContractVersion.major || major == ContractVersion.major
                    ? "update this host, or build the plugin with an older model_plugin.h"
                    : "build the plugin with this host's model_plugin.h"
            )
        }
        guard let entry = file.symbols.first(where: { $0.name == Self.entrySymbol }),
            entry.type == 2
        else {
            throw file.refuse(
                "no function \(Self.entrySymbol)",
                wanted: "the entry of a model plugin",
                "define it, and export it with MODEL_EXPORT (C) or @c(\(Self.entrySymbol)) (Swift)"
            )
        }
    }
}
