internal import Foundation
internal import Synchronization

#if canImport(FoundationNetworking)
    internal import FoundationNetworking
#endif

/// Takes what HTTP servers answer, no more of each than was asked for: a proxy that passes over a range, or a server that never ends,
/// would fill the memory with what `URLSession.data(for:)` keeps.
final class HTTPAnswers: NSObject, URLSessionDataDelegate {
    static let shared = HTTPAnswers()

    private struct Answer {
        /// How many bytes a part may have, and a whole file.
        let part: Int
        let whole: Int
        let continuation: AsyncThrowingStream<([UInt8], HTTPURLResponse), any Error>.Continuation
        var bytes: [UInt8] = []

        /// False where there is more than was asked for.
        mutating func add(_ data: Data, status: Int) -> Bool {
            switch status {
            case 200, 206:
                guard bytes.count + data.count <= (status == 206 ? part : whole) else {
                    return false
                }
                bytes += data
            // A page that says why not.
            default: break
            }
            return true
        }
    }

    private let answers = Mutex<[Int: Answer]>([:])
    private let session = Mutex<URLSession?>(nil)

    /// So much is still to come of an answer that it can not be complete before it is cancelled.
    private static let cancellableByteCount: Int64 = 64 << 20

    /// Who is cancelled goes at once, and the answer comes for nobody: to cancel it is not safe on Linux. `data(for:)` waits for a
    /// queue that may be waiting for the same task, for ever, and `URLSessionTask.cancel` ends the process if the answer is complete
    /// at that moment.
    ///
    /// - Throws: `SourceFailure.noRange` for a larger answer than was asked for.
    func answer(
        to request: URLRequest, part: Int, whole: Int
    ) async throws -> ([UInt8], HTTPURLResponse) {
        let (stream, continuation) = AsyncThrowingStream<([UInt8], HTTPURLResponse), any Error>
            .makeStream()
        let session = session.withLock { session in
            let known =
                session ?? URLSession(configuration: .default, delegate: self, delegateQueue: nil)
            session = known
            return known
        }
        let task = session.dataTask(with: request)
        answers.withLock {
            $0[task.taskIdentifier] = Answer(part: part, whole: whole, continuation: continuation)
        }
        task.resume()
        for try await answer in stream { return answer }
        throw CancellationError()
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        guard let response = dataTask.response as? HTTPURLResponse else { return }
        let number = dataTask.taskIdentifier
        let refused = answers.withLock { answers -> Answer? in
            guard answers[number]?.add(data, status: response.statusCode) == false else {
                return nil
            }
            return answers.removeValue(forKey: number)
        }
        guard let refused else { return }
        refused.continuation.finish(throwing: SourceFailure.noRange)
        let leftByteCount =
            dataTask.countOfBytesExpectedToReceive - dataTask.countOfBytesReceived
        if leftByteCount > HTTPAnswers.cancellableByteCount { dataTask.cancel() }
    }

    /// Follows where a file is said to be, but not to the same name with a slash behind it, which is how a folder answers.
    func urlSession(
        _ session: URLSession, task: URLSessionTask,
        willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(request.url?.withoutSlash == response.url?.withoutSlash ? nil : request)
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
    ) {
        let answer = answers.withLock { $0.removeValue(forKey: task.taskIdentifier) }
        guard let answer else { return }
        if error == nil, let response = task.response as? HTTPURLResponse {
            answer.continuation.yield((answer.bytes, response))
        }
        // The whole error is a screen of text.
        answer.continuation.finish(
            throwing: (error as? URLError).map { SourceFailure.web($0.code.rawValue) } ?? error)
    }
}

extension URL {
    fileprivate var withoutSlash: Substring {
        absoluteString.hasSuffix("/") ? absoluteString.dropLast() : absoluteString[...]
    }
}
