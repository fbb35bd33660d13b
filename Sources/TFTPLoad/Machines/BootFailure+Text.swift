internal import TFTPWire

extension BootFailure {
    /// The cause, as reports group it.
    var text: String {
        switch self {
        case .notFound: "not found"
        case .errorFromServer(let code): "ERROR \(code.rawValue) from the server"
        case .timedOut(.receiving): "timed out while receiving"
        case .timedOut: "timed out without an answer"
        case .badOACK(let fault): "bad OACK (\(fault.text))"
        case .noOACK: "no OACK"
        case .repeatedOACK: "OACK again in mid-transfer"
        case .overlongBlock: "block longer than the blksize"
        case .blockZeroEarly: "block 0 before 65535"
        case .repeated65535: "block 65535 twice"
        case .strangeTID: "packet from another port"
        case .strangeAddress: "packet from another address"
        case .strayPort: "timed out: answers came from another port"
        case .strayAddress: "timed out: answers came from another address"
        }
    }
}

extension OACKFault {
    fileprivate var text: String {
        switch self {
        case .unasked(let name): "\(name) was not asked for"
        case .unaskedUnknown: "an option that was not asked for"
        case .raised(let name): "\(name) raised"
        case .changed(let name): "\(name) changed"
        case .outOfRange(let name): "\(name) out of range"
        case .missing(let name): "\(name) missing"
        case .emptyFile: "tsize 0"
        case .unterminated: "no NUL at the end"
        case .malformedPair: "a name without a value"
        }
    }
}
