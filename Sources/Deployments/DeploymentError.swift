/// Why a version cannot be stored or loaded, in one sentence that names the place and the remedy.
package struct DeploymentError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Which key of a reference in an endpoint's file is at fault.
    package enum Key: String, Sendable { case name, version }

    package let description: String
    package let key: Key?

    package init(_ description: String, key: Key? = nil) {
        self.description = description
        self.key = key
    }
}
