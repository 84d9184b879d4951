// Addresses that a host cannot have, told before anything is changed.

package import Platform

extension Server {
    /// Refuses an address that somebody else listens on.
    package static func probe(
        _ address: SocketAddress,
        option: String = "listen"
    ) throws(StartFailure) {
        do {
            try Socket.probe(address)
        } catch {
            throw refusal(address, error, option)
        }
    }

    package static func refusal(
        _ address: SocketAddress,
        _ error: SystemError,
        _ option: String
    ) -> StartFailure {
        let advice =
            error.isAddressInUse
            ? "; end the program that listens there, or choose another --\(option)"
            : "; choose another --\(option)"
        return .system("listening on \(address): \(error)\(advice)")
    }
}
