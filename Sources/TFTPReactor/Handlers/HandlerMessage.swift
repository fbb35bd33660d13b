internal import TFTPServing
internal import TFTPStore

/// What the task of a handler says to the store thread.
enum HandlerMessage: Sendable {
    /// The task has ended with this answer.
    case answered(RequestID, HandlerAnswer)
    /// The transfer will be sealed; the answer follows.
    case sealed(RequestID, TransferSeal)
    /// This is the answer, and its body runs if the continuation says so; else the task ends
    /// without another message.
    case begins(RequestID, HandlerAnswer, CheckedContinuation<Bool, Never>)
    case supplied(RequestID, [UInt8], CheckedContinuation<Void, any Error>)
    /// The body has written something that comes to no bytes of the content yet.
    case progressed(RequestID, CheckedContinuation<Void, any Error>)
    /// The body of an upload wants the next bytes.
    case wantsNext(RequestID, CheckedContinuation<[UInt8]?, any Error>)
    /// The body has returned, or thrown.
    case ended(RequestID, isWell: Bool)
    /// The task makes its content of what others may read as well; nil where there is no room for
    /// that.
    case shares(RequestID, SharedContent, CheckedContinuation<RequestID?, any Error>)
    /// It wants so many bytes of that, at most, from there on.
    case reads(
        RequestID, offset: UInt64, byteCount: Int, CheckedContinuation<[UInt8], any Error>)
    /// It reads no more of it.
    case stopsReading(RequestID)

    /// The request that it is about.
    var id: RequestID {
        switch self {
        case .answered(let id, _), .sealed(let id, _), .begins(let id, _, _),
            .supplied(let id, _, _), .progressed(let id, _), .wantsNext(let id, _),
            .ended(let id, _), .shares(let id, _, _), .reads(let id, _, _, _),
            .stopsReading(let id):
            id
        }
    }

    /// Tells the task, if it waits, that nothing comes of it.
    func giveUp() {
        switch self {
        case .answered, .sealed, .ended, .stopsReading: break
        case .begins(_, _, let continuation): continuation.resume(returning: false)
        case .supplied(_, _, let continuation), .progressed(_, let continuation):
            continuation.resume(throwing: CancellationError())
        case .wantsNext(_, let continuation): continuation.resume(throwing: CancellationError())
        case .shares(_, _, let continuation): continuation.resume(throwing: CancellationError())
        case .reads(_, _, _, let continuation): continuation.resume(throwing: CancellationError())
        }
    }
}
