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
