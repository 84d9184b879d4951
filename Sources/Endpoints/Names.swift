// What may be a name. Names come from requests, files and command lines and end up in paths and
// URLs, so they are checked where they enter, and nothing unchecked is ever joined into a path.

/// The rules for names.
package enum Names {
    /// Characters of a name.
    package static let lengthMaximum = 64

    /// Deployments, splits, experiments, aliases: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}`.
    package static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, isWordByte(first), text.utf8.count <= lengthMaximum
        else { return false }
        return text.utf8.allSatisfy { isWordByte($0) || $0 == 0x2e || $0 == 0x2d }
    }

    /// Endpoints: `[a-z0-9_]{1,64}`.
    package static func isEndpoint(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= lengthMaximum else { return false }
        return text.utf8.allSatisfy { isWordByte($0) && !(0x41...0x5a).contains($0) }
    }

    /// Branches: names joined by `/`.
    package static func isBranch(_ text: String) -> Bool {
        guard text.utf8.count <= 200 else { return false }
        return text.split(separator: "/", omittingEmptySubsequences: false)
            .allSatisfy { isName(String($0)) }
    }

    /// Aliases: names that are not all digits and not `latest`.
    package static func isAlias(_ text: String) -> Bool {
        isName(text) && text != "latest" && !text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }

    /// A branch as it stands in paths and URLs, with `~` for `/`.
    package static func folder(ofBranch branch: String) -> String {
        String(branch.map { $0 == "/" ? "~" : $0 })
    }

    /// The branch that a folder or a part of a URL stands for.
    package static func branch(ofFolder folder: String) -> String {
        String(folder.map { $0 == "~" ? "/" : $0 })
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f: true
        default: false
        }
    }
}
