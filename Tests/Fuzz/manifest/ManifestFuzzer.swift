// Manifests of stored versions: what is accepted can be written and read again, and stays inside
// its folder.

import Deployments
import FuzzSupport
import YAML

/// Runs one input.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    ManifestFuzzer.run(input)
    return 0
}

private enum ManifestFuzzer {
    static func run(_ input: [UInt8]) {
        guard let manifest = try? Manifest(parsing: input) else { return }
        for file in manifest.files {
            // As the kernel takes it: bytes between slashes.
            let bytes = Array(file.path.utf8)
            for part in bytes.split(separator: 0x2f, omittingEmptySubsequences: false) {
                let isSafe = !part.isEmpty && Array(part) != [0x2e] && Array(part) != [0x2e, 0x2e]
                Property.require(isSafe, "'\(file.path)' stays below its folder")
            }
            Property.require(!bytes.contains(0), "'\(file.path)' is a whole path")
            Property.require(file.bytes >= 0 && file.sha256.utf8.count == 64, "'\(file.path)'")
        }
        Property.require(manifest.pluginHash.utf8.count == 64, "the plugin has a hash")
        let text = Array(manifest.text.utf8)
        // What is written again can be longer than what was read: one byte becomes six.
        guard text.count <= YAMLParser.bytesMaximum else { return }
        do throws(YAMLError) {
            let again = try Manifest(parsing: text)
            Property.require(again == manifest, "a manifest comes back as it was written")
            // Strings that differ in their bytes only can be equal.
            Property.require(
                again.text.utf8.elementsEqual(text),
                "its text does not change any more"
            )
        } catch {
            fatalError(error.rendered(file: "manifest.yaml", text: text))
        }
    }
}
