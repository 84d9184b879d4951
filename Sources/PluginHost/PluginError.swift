/// Why a plugin cannot be used: the file, what was found there, what was wanted, what to do.
package struct PluginError: Error, Equatable, Sendable, CustomStringConvertible {
    package let file: String
    package let found: String
    package let wanted: String
    package let advice: String

    package init(file: String, found: String, wanted: String, advice: String) {
        self.file = file
        self.found = found
        self.wanted = wanted
        self.advice = advice
    }

    /// `x.so: found …; wanted …; …`
    package var description: String {
        "\(file): found \(found); wanted \(wanted); \(advice)"
    }
}

/// What the host of this build offers to plugins.
package enum ContractVersion {
    /// Must be equal on both sides.
    package static let major: UInt32 = 1
    /// A plugin's may be lower.
    package static let minor: UInt32 = 0
}
