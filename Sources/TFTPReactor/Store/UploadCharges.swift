internal import CLinux
internal import TFTPCore
internal import TFTPServing

/// Quotas of uploads: what each takes as it is written, and gives back if it becomes no file. Where
/// there are no quotas, none of this looks at the clock or at a table.
struct UploadCharges: ~Copyable {
    private let quota: UploadQuota
    /// By upload: what it has taken of its quotas; empty where there are none.
    private var charges: [UploadQuota.Charge?]

    init(_ limits: UploadQuotaLimits, uploadsMax: Int) {
        quota = UploadQuota(limits, seed: .random(in: 0 ... .max))
        charges = Array(repeating: nil, count: quota.isActive ? uploadsMax : 0)
    }

    /// Whether an upload of so many bytes may begin; 0 where the client does not say.
    func admits(_ client: Address, byteCount: UInt64) -> Bool {
        !quota.isActive || quota.admits(client, byteCount: byteCount, now: clinux_now())
    }

    mutating func begin(_ upload: UInt32, _ client: Address) {
        if quota.isActive { charges[Int(upload)] = UploadQuota.Charge(client: client) }
    }

    /// Takes bytes that are to be written. False when a quota is used up.
    mutating func take(_ byteCount: Int, for upload: UInt32) -> Bool {
        guard quota.isActive, var charge = charges[Int(upload)] else { return true }
        defer { charges[Int(upload)] = charge }
        return quota.take(byteCount, &charge, now: clinux_now())
    }

    /// The upload has become a file.
    mutating func keep(_ upload: UInt32) {
        if quota.isActive { charges[Int(upload)] = nil }
    }

    /// The upload is thrown away, unless its charge was kept.
    mutating func giveBack(_ upload: UInt32) {
        guard quota.isActive, let charge = charges[Int(upload)] else { return }
        quota.giveBack(charge)
        charges[Int(upload)] = nil
    }
}
