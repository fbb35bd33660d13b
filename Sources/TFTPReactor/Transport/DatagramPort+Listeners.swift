internal import CLinux
internal import TFTPCore

extension DatagramPort {
    /// Stops listening. Called in each turn until it returns true: every listener is closed then,
    /// and what came in before has been handed out.
    ///
    /// A socket of our own first stops receiving, and is closed when its queue is empty. One that
    /// another process has bound stays open there: what is in its queue, and what comes, is for the
    /// next process that reads it.
    mutating func leaveListeners() -> Bool {
        let isFirst = !isLeaving
        isLeaving = true
        var isDone = true
        for index in 0..<socketCount {
            let socket = sockets[index]
            guard socket.role == .listener, socket.file >= 0 else { continue }
            isDone = false
            if isFirst && !socket.isPassed { clinux_udp_stop_hearing(socket.file) }
            guard !isClosing(index) else { continue }
            if !socket.receives {
                closeListener(index)
            } else if socket.isPassed || !clinux_udp_has_input(socket.file) {
                detach(index)
            }
        }
        if isDone { closeLeftListeners() }
        return isDone
    }
}
