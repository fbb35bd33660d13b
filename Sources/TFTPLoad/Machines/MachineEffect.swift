package import TFTPWire

extension MachineTable {
    /// What the caller must do next for one machine.
    ///
    /// Few parts are ever set together. They are to be done in the order in which they stand here:
    /// look at the payload, send the ACK, send the ERROR (both to where the packet came from), send
    /// the request, and take note of the result.
    package struct Effect: Equatable, Sendable, BitwiseCopyable {
        /// The payload is new and belongs into the file.
        package var accept: Accepted?
        /// Send ACK of this number, with `writeAck`.
        package var ack: BlockNumber?
        /// Send this ERROR, with `writeError`.
        package var error: ErrorReply?
        /// Send the request of the stage, with `writeRequest`, to the port that requests go to.
        package var request: Requested?
        /// The boot is over. The machine takes no notice of packets until `start`.
        package var result: BootResult?

        package init() {}

        package static var none: Effect { Effect() }
    }

    package struct Accepted: Equatable, Sendable, BitwiseCopyable {
        /// Counted from 1; the payload belongs at `(block - 1) * blksize`.
        package var block: UInt64
        /// Whether it is the short one at the end. It may come before others that are missing.
        package var isLast: Bool

        package init(block: UInt64, isLast: Bool) {
            self.block = block
            self.isLast = isLast
        }
    }

    package struct Requested: Equatable, Sendable, BitwiseCopyable {
        /// Whether it comes from another port than the one before. Else it is a repetition.
        package var fromNewPort: Bool

        package init(fromNewPort: Bool) { self.fromNewPort = fromNewPort }
    }

    /// Where a machine stands in one transfer.
    package enum Phase: UInt8, Sendable, BitwiseCopyable {
        /// Nothing was started, or the boot is over.
        case idle
        /// The request is out, nothing has come back.
        case requesting
        case receiving
    }
}
