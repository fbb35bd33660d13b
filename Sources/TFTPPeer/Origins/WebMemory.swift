internal import Synchronization
internal import TFTPFetch

/// What is remembered of files of a web server: what distinguishes their versions, and for a moment
/// an answer that has begun, so that a search and the copy that follows it share one request.
final class WebMemory: Sendable {
    /// What a server says of a version, to be asked with.
    struct Validators: Sendable {
        var entityTag: String?
        var lastModified: String?

        /// By what a range may be requested: a strong tag. A date may stand for two contents
        /// (RFC 9110 §13.1.5).
        var rangeCondition: String? {
            entityTag.flatMap { $0.hasPrefix("\"") ? $0 : nil }
        }
    }

    /// An answer whose body has no reader yet.
    struct Opened: Sendable {
        let answer: WebAnswer
        let version: FileVersion
        /// What has been read of it to learn how long it is.
        var beginning: [UInt8] = []
        let openedAt = ContinuousClock.now
    }

    private struct Entry {
        var validators: Validators
        var version: FileVersion
        var opened: Opened?
        /// Of `opened`.
        var number = 0
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var openedCount = 0
    }

    private let state = Mutex(State())

    /// A body without a reader is dropped after this duration.
    private static let openedDuration = Duration.seconds(3)
    /// How long an answer counts as the latest.
    private static let latestDuration = Duration.seconds(1)
    private static let entriesMax = 4096

    func validators(_ name: String, _ version: FileVersion) -> Validators? {
        state.withLock { $0.entries[name].flatMap { $0.version == version ? $0.validators : nil } }
    }

    /// Remembers what tells a version from others.
    func note(_ name: String, _ version: FileVersion, _ validators: Validators) {
        state.withLock { state in
            guard state.entries[name] != nil || state.entries.count < WebMemory.entriesMax,
                state.entries[name]?.opened == nil
            else { return }
            state.entries[name] = Entry(validators: validators, version: version)
        }
    }

    /// Keeps an answer that has begun.
    func keep(_ name: String, _ opened: Opened, _ validators: Validators) {
        let (number, old) = state.withLock { state in
            if state.entries.count >= WebMemory.entriesMax, state.entries[name] == nil {
                state.entries = state.entries.filter { $0.value.opened != nil }
            }
            state.openedCount += 1
            let old = state.entries.updateValue(
                Entry(
                    validators: validators, version: opened.version, opened: opened,
                    number: state.openedCount),
                forKey: name)
            return (state.openedCount, old)
        }
        // Releasing an answer cancels it, which must not happen under the lock.
        _ = old
        Task {
            try? await Task.sleep(for: WebMemory.openedDuration)
            self.release(name, number)
        }
    }

    /// The version that an answer that has just begun is of.
    func latest(_ name: String) -> FileVersion? {
        state.withLock { state in
            guard let opened = state.entries[name]?.opened,
                ContinuousClock.now - opened.openedAt < WebMemory.latestDuration
            else { return nil }
            return opened.version
        }
    }

    /// Takes the answer that has begun, to read its body.
    func take(_ name: String) -> Opened? {
        state.withLock { state in
            defer { state.entries[name]?.opened = nil }
            return state.entries[name]?.opened
        }
    }

    private func release(_ name: String, _ number: Int) {
        let old = state.withLock { state -> Opened? in
            guard let entry = state.entries[name], entry.number == number else { return nil }
            defer { state.entries[name]?.opened = nil }
            return entry.opened
        }
        _ = old
    }
}
