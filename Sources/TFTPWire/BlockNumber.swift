/// A block number as it stands on the wire: 16 bits, and it rolls over (RFC 1350 §5).
///
/// Inside, blocks are counted in 64 bits from 0, the number that stands for the OACK (RFC 2347).
/// Only this type knows how one becomes the other.
package struct BlockNumber: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    /// The 16 bits on the wire.
    package var rawValue: UInt16

    /// What follows 65535. No RFC says; all boot clients expect 0.
    package enum Rollover: UInt8, Sendable, BitwiseCopyable {
        case toZero
        case toOne
    }

    /// The number with these bits.
    @inlinable
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The wire number of the `block`-th block of a transfer.
    ///
    /// With `toOne` the wire numbers of DATA run 1...65535 and over again, and 0 stands for block 0
    /// alone.
    @inlinable
    package init(_ block: UInt64, rollover: Rollover) {
        switch rollover {
        case .toZero:
            self.init(rawValue: UInt16(truncatingIfNeeded: block))
        case .toOne:
            let wire = block == 0 ? 0 : (block - 1) % BlockNumber.cycleToOne + 1
            self.init(rawValue: UInt16(truncatingIfNeeded: wire))
        }
    }
}

extension BlockNumber {
    /// How many blocks pass until a number comes again with `toOne`.
    @inlinable static var cycleToOne: UInt64 { 65535 }

    /// The distance of a number that never comes. No window reaches as far: at most 65535 blocks
    /// are under way (RFC 7440 §3).
    @inlinable package static var distanceNever: UInt64 { 65536 }

    /// How many blocks after `block` this number comes next; 0 if it is the number of `block`.
    ///
    /// With `toZero` that is 0...65535. With `toOne` it is 0...65534, but for two cases: after
    /// block 0 the number 65535 is 65535 away, and after any other block the number 0 never comes
    /// again, which is `distanceNever`.
    ///
    /// A number from the past looks far ahead, so the caller compares with the blocks it has under
    /// way. These must be fewer than a cycle (65536 or 65535) for the answer to be the only one.
    @inlinable
    package func distance(after block: UInt64, rollover: Rollover) -> UInt64 {
        switch rollover {
        case .toZero:
            return UInt64(rawValue &- UInt16(truncatingIfNeeded: block))
        case .toOne where block == 0:
            return UInt64(rawValue)
        case .toOne where rawValue == 0:
            return BlockNumber.distanceNever
        case .toOne:
            let current = BlockNumber(block, rollover: .toOne).rawValue
            let cycle = BlockNumber.cycleToOne
            return (cycle + UInt64(rawValue) - UInt64(current)) % cycle
        }
    }
}
