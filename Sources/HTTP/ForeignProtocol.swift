// What arrives at a port for HTTP and is something else: recognised, so that whoever has set it up
// reads what is wrong.

import Bytes

/// A protocol that is not spoken here.
package enum ForeignProtocol: String, Sendable, CaseIterable {
    case tls = "TLS"
    case http2 = "HTTP/2"
    case proxy = "PROXY"

    /// Whether a text that begins with a control character can be read as HTTP; false: that is not
    /// known yet. Throws for what is another protocol.
    static func isDecided(_ text: Span<UInt8>) throws(HTTPFault) -> Bool {
        // The type of a handshake record.
        if text[0] == 0x16 { throw ForeignProtocol.tls.refusal }
        guard text.count >= 4 else { return text.count > 1 && text[1] != 0x0a || text[0] != 0x0d }
        guard Bytes.equal(text, 0..<4, "\r\n\r\n") else { return true }
        // Two empty lines and a zero: version 2 of the PROXY protocol.
        guard text.count > 4 else { return false }
        if text[4] == 0 { throw ForeignProtocol.proxy.refusal }
        return true
    }

    /// The protocol that a text begins with in words; nil: none that is known.
    static func beginning(_ text: Span<UInt8>) -> ForeignProtocol? {
        let known: [(ForeignProtocol, StaticString)] = [
            (.http2, "PRI * HTTP/2.0\r\n"), (.proxy, "PROXY TCP4 "), (.proxy, "PROXY TCP6 "),
            (.proxy, "PROXY UNKNOWN"),
        ]
        return known.first { _, words in
            text.count >= words.utf8CodeUnitCount
                && Bytes.equal(text, 0..<words.utf8CodeUnitCount, words)
        }?.0
    }

    var refusal: HTTPFault {
        switch self {
        case .tls:
            HTTPFault(
                .badRequest,
                "this is the beginning of a TLS connection, and here plain HTTP is spoken: ask "
                    + "http:// instead of https://, or let a proxy before the host end TLS",
                foreign: self
            )
        case .http2:
            HTTPFault(
                .versionNotSupported,
                "this is HTTP/2 with prior knowledge, and here HTTP/1.1 is spoken: switch HTTP/2 "
                    + "off in the client, or in the proxy for the way to this host",
                foreign: self
            )
        case .proxy:
            HTTPFault(
                .badRequest,
                "this begins with a line of the PROXY protocol, which is not spoken here: switch "
                    + "it off in the balancer before this host",
                foreign: self
            )
        }
    }
}
