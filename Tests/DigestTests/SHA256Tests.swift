import Digest
import Testing

struct SHA256Tests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `the digests of FIPS 180-4 come out`(text: String, digest: String) {
        let found = SHA256.hexText(of: Array(text.utf8).span)
        #expect(found == digest)
    }

    @Test func `a million times a hashes as published`() {
        let bytes = [UInt8](repeating: 0x61, count: 1_000_000)
        let digest = SHA256.hexText(of: bytes.span)
        #expect(digest == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    /// The sum is from Python's hashlib: the digests' texts, one after the other, hashed again.
    @Test(arguments: SHA256.Engine.available)
    func `texts of 0 to 300 bytes hash as elsewhere`(engine: SHA256.Engine) {
        var sum = SHA256(engine: engine)
        for length in 0...300 {
            var hash = SHA256(engine: engine)
            let text = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7 + length) }
            hash.update(text.span)
            sum.update(hash.finishText())
        }
        let digest = sum.finishText()
        #expect(digest == "94bc81110d562891b0adac6bac4837f28ae9118c192446b6ac4414fdf4c6e629")
    }

    @Test func `every way of cutting a text in two gives the same digest`() {
        let text = (0..<200).map { UInt8($0) }
        let whole = SHA256.hexText(of: text.span)
        for cut in 0...text.count {
            var hash = SHA256()
            hash.update(Array(text[..<cut]).span)
            hash.update(Array(text[cut...]).span)
            let digest = hash.finishText()
            #expect(digest == whole, "cut at \(cut)")
        }
    }
}

struct SHA256GroupTests {
    /// What a group has to find, one text after the other in plain Swift.
    private func prefixes(_ beginnings: [[UInt8]], _ ending: [UInt8]) -> [UInt64] {
        beginnings.map { beginning in
            var hash = SHA256(engine: .scalar)
            hash.update(beginning.span)
            hash.update(ending.span)
            return hash.finishPrefix()
        }
    }

    private func groups(_ beginnings: [[UInt8]], _ engine: SHA256.Engine) -> [SHA256Group] {
        SHA256Group.groups(
            of: beginnings.map { beginning in
                var hash = SHA256(engine: engine)
                hash.update(beginning.span)
                return hash
            }
        )
    }

    @Test(arguments: SHA256.Engine.available)
    func `beginnings of any lengths and an ending hash as the whole texts`(engine: SHA256.Engine) {
        let text = (0..<512).map { UInt8(truncatingIfNeeded: $0 * 11) }
        for first in stride(from: 0, through: 130, by: 5) {
            // Four that need different numbers of blocks, some of them at the edge of one.
            let beginnings = [first, first + 1, 63 + first % 3, 130 - first].map {
                Array(text[..<$0])
            }
            for count in [1, 2, 4] {
                let beginnings = Array(beginnings.prefix(count))
                let group = groups(beginnings, engine)[0]
                for length in [0, 1, 3, 8, 30, 54, 55, 56, 62, 63, 64, 65, 119, 128, 200] {
                    let ending = Array(text[100..<100 + length])
                    let found = group.finishPrefixes(ending.span)
                    let wanted = prefixes(beginnings, ending)
                    for index in wanted.indices {
                        #expect(found[index] == wanted[index], "\(first) \(count) \(length)")
                    }
                }
            }
        }
    }

    @Test(arguments: SHA256.Engine.available)
    func `endings of 0 to 300 bytes hash the same at each beginning`(engine: SHA256.Engine) {
        let text = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 13) }
        let beginnings = [7, 18, 63, 64, 100].map { Array(text[..<$0]) }
        let groups = groups(beginnings, engine)
        #expect(groups.count == 2)
        for length in 0...300 {
            let ending = Array(text[..<length])
            let wanted = prefixes(beginnings, ending)
            let first = groups[0].finishPrefixes(ending.span)
            let second = groups[1].finishPrefixes(ending.span)
            #expect((0..<4).map { first[$0] } + [second[0]] == wanted, "\(length)")
        }
    }
}
