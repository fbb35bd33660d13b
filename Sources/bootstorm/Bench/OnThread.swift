internal import TFTPReactor

/// Runs `body`, which waits, on a thread of its own.
func onThread<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        do {
            try RunningThread("worker") { continuation.resume(with: Swift.Result { try body() }) }
                .detach()
        } catch {
            continuation.resume(throwing: error)
        }
    }
}
