// Plugin files: whatever the bytes are, they are read to the end or refused with a sentence.

import FuzzSupport
import PluginHost

/// Runs one input.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    ELFFuzzer.run(input)
    return 0
}

private enum ELFFuzzer {
    static func run(_ input: [UInt8]) {
        do throws(PluginError) {
            let file = try ELFFile(path: "fuzz.so", bytes: input)
            for name in file.exportedNames + file.neededLibraries {
                Property.require(!name.utf8.contains(0), "a name is one C string")
            }
            let tag = try PluginTag(of: file)
            Property.require(tag.major == ContractVersion.major, "\(tag) fits this host")
            Property.require(tag.minor <= ContractVersion.minor, "\(tag) fits this host")
            Property.require(file.exportedNames.contains("model_plugin_entry"), "it has an entry")
        } catch {
            Property.require(!error.found.isEmpty && !error.wanted.isEmpty, "\(error)")
        }
    }
}
