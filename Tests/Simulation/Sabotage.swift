package import TFTPServing

/// A mistake made on purpose: a checker that does not find it is worth nothing.
package enum Sabotage: Equatable, Sendable {
    case none
    /// The network changes a byte of one payload.
    case flippedByte
    /// The server makes one.
    case server(Mistake)

    var serverMistake: Mistake {
        if case .server(let mistake) = self { mistake } else { .none }
    }
}
