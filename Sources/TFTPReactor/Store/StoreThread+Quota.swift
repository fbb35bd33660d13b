internal import CLinux
internal import TFTPCore
internal import TFTPServing

/// Quotas of uploads: what each takes as it is written, and gives back if it becomes no file. Where
/// there are no quotas, none of this looks at the clock or at a table.
extension StoreThread {
    /// Whether an upload of so many bytes may begin; 0 where the client does not say.
    func admits(_ client: Address, byteCount: UInt64) -> Bool {
        !quota.isActive || quota.admits(client, byteCount: byteCount, now: clinux_now())
    }

    mutating func beginCharge(_ upload: UInt32, _ client: Address) {
        if quota.isActive { charges[Int(upload)] = UploadQuota.Charge(client: client) }
    }

    /// Takes bytes that are to be written. False when a quota is used up.
    mutating func charge(_ upload: UInt32, _ byteCount: Int) -> Bool {
        guard quota.isActive, var charge = charges[Int(upload)] else { return true }
        defer { charges[Int(upload)] = charge }
        return quota.take(byteCount, &charge, now: clinux_now())
    }

    /// The upload has become a file.
    mutating func keepCharge(_ upload: UInt32) {
        if quota.isActive { charges[Int(upload)] = nil }
    }

    /// The upload is thrown away, unless its charge was kept.
    mutating func giveBackCharge(_ upload: UInt32) {
        guard quota.isActive, let charge = charges[Int(upload)] else { return }
        quota.giveBack(charge)
        charges[Int(upload)] = nil
    }
}
