/// Why a version cannot be stored or loaded, in one sentence that names the place and the remedy.
package struct DeploymentError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
