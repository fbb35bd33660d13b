package import TFTPServing

/// A mistake made on purpose: a checker that does not find it is worth nothing.
package enum Sabotage: Equatable, Sendable {
    case none
    /// The network changes a byte of one payload.
    case flippedByte
    /// The server makes one.
    case server(Mistake)
    /// The client makes one.
    case client(ClientMistake)

    var serverMistake: Mistake {
        if case .server(let mistake) = self { mistake } else { .none }
    }

    var clientMistake: ClientMistake {
        if case .client(let mistake) = self { mistake } else { .none }
    }
}
