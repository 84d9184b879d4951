// From an answer to the bytes of its head.

package import Bytes

/// What an answer says about the connection.
package enum ConnectionField: Sendable {
    /// Nothing: it goes on, as HTTP/1.1 does by itself.
    case none
    /// It goes on, which an HTTP/1.0 client has to be told.
    case keepAlive
    /// It ends with this answer.
    case close
}

/// Writes the heads of responses.
package enum ResponseHead {
    /// The answer to `Expect: 100-continue`.
    package static let `continue` = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    /// Appends a complete head.
    ///
    /// - Parameters:
    ///   - status: the status.
    ///   - bodyBytes: the length of the body that follows.
    ///   - date: the text of the `Date` field, as RFC 9110 wants it.
    ///   - connection: what is said about the connection.
    ///   - contentType: what the body is; nil: JSON.
    ///   - fields: further fields, each ended by CR and LF.
    ///   - bytes: what it is appended to.
    package static func write(
        _ status: Status,
        bodyBytes: Int,
        date: [UInt8],
        connection: ConnectionField,
        contentType: StaticString? = nil,
        fields: borrowing ByteBuffer,
        to bytes: inout ByteBuffer
    ) {
        if status == .ok {
            bytes.append(literal: "HTTP/1.1 200 OK")
        } else {
            bytes.append(literal: "HTTP/1.1 ")
            bytes.append(decimal: UInt64(status.rawValue))
            bytes.append(0x20)
            bytes.append(literal: status.reason)
        }
        if let contentType {
            bytes.append(literal: "\r\nContent-Type: ")
            bytes.append(literal: contentType)
            bytes.append(literal: "\r\nContent-Length: ")
        } else {
            bytes.append(literal: "\r\nContent-Type: application/json\r\nContent-Length: ")
        }
        bytes.append(decimal: UInt64(bodyBytes))
        bytes.append(literal: "\r\nDate: ")
        bytes.append(contentsOf: date)
        switch connection {
        case .none: bytes.append(literal: "\r\n")
        case .keepAlive: bytes.append(literal: "\r\nConnection: keep-alive\r\n")
        case .close: bytes.append(literal: "\r\nConnection: close\r\n")
        }
        bytes.append(fields)
        bytes.append(literal: "\r\n")
    }

    /// The `Date` of a moment, such as `Sat, 21 Nov 2026 03:00:00 GMT`.
    ///
    /// - Parameters:
    ///   - weekday: 0 is Sunday.
    ///   - month: 1 is January.
    package static func date(
        year: Int,
        month: Int,
        day: Int,
        hour: Int,
        minute: Int,
        second: Int,
        weekday: Int
    ) -> [UInt8] {
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        var text: [UInt8] = []
        text.append("\(days[weekday]), ")
        text.append(decimal: UInt64(day), width: 2)
        text.append(" \(months[month - 1]) ")
        text.append(decimal: UInt64(year), width: 4)
        text.append(0x20)
        text.append(decimal: UInt64(hour), width: 2)
        text.append(UInt8(ascii: ":"))
        text.append(decimal: UInt64(minute), width: 2)
        text.append(UInt8(ascii: ":"))
        text.append(decimal: UInt64(second), width: 2)
        text.append(" GMT")
        return text
    }
}
