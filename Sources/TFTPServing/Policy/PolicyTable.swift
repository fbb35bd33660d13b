package import TFTPCore
internal import TFTPStore
package import TFTPWire

/// Which policy a request has, by its client's address, its kind and the folder that it asks in.
///
/// Of all rules that hold for a request the one with the longest network prefix decides alone;
/// among these the one with the longest folder, then one that names kinds of clients, then the
/// first. Where none holds, the default does. Rules do not add up: what a rule does not say is the
/// default's.
///
/// Immutable. Looking up allocates and retains nothing, and costs a binary search for each prefix
/// length in use.
package final class PolicyTable: Sendable {
    /// What holds where no rule does.
    package let defaultPolicy: RequestPolicy
    /// Whether some request may write.
    package let allowsUploads: Bool
    /// Whether some rule is for a folder, so that the name decides with.
    package let dependsOnFolder: Bool
    private let entries: Column<Entry>
    private let policies: Column<RequestPolicy>
    /// Folders of all rules, one behind the other.
    private let folderBytes: Column<UInt8>
    /// Entries of one prefix length each, the longest first.
    private let groups: Column<Group>
    private let sealedNetworks: Column<Network>

    /// One rule for one network and one folder.
    private struct Entry: BitwiseCopyable {
        var network: Network
        var kinds: KindSelection
        var folderOffset: UInt32
        var folderByteCount: UInt16
        var policy: UInt16
    }

    private struct Group: BitwiseCopyable {
        var bitCount: UInt8
        var first: UInt32
        var end: UInt32
    }

    /// The requests that a policy holds for. An empty list matches all.
    package struct Rule: Equatable, Sendable {
        package var networks: [Network] = []
        package var kinds: [Fingerprint] = []
        /// Names of folders, normalised, without a slash at either end.
        package var folders: [String] = []
        package var policy: RequestPolicy

        package init(policy: RequestPolicy) { self.policy = policy }
    }

    package static let rulesMax = 1024
    /// Rules times their networks times their folders.
    package static let entriesMax = 65_536

    /// - Precondition: at most `rulesMax` rules and `entriesMax` entries.
    package init(
        default defaultPolicy: RequestPolicy, rules: [Rule] = [], sealedNetworks: [Network] = []
    ) {
        precondition(rules.count <= PolicyTable.rulesMax)
        self.defaultPolicy = defaultPolicy
        var bytes: [UInt8] = []
        var entries: [Entry] = []
        for (number, rule) in rules.enumerated() {
            for folder in rule.folders.isEmpty ? [""] : rule.folders {
                let offset = UInt32(bytes.count)
                bytes += folder.utf8
                for network in rule.networks.isEmpty ? [.all] : rule.networks {
                    entries.append(
                        Entry(
                            network: network,
                            kinds: rule.kinds.isEmpty ? .all : KindSelection(rule.kinds),
                            folderOffset: offset, folderByteCount: UInt16(folder.utf8.count),
                            policy: UInt16(number)))
                }
            }
        }
        precondition(entries.count <= PolicyTable.entriesMax)
        entries.sort(by: PolicyTable.precedes)
        var groups: [Group] = []
        for (index, entry) in entries.enumerated() {
            let bitCount = UInt8(entry.network.prefixBitCount)
            if groups.last?.bitCount != bitCount {
                groups.append(Group(bitCount: bitCount, first: UInt32(index), end: 0))
            }
            groups[groups.count - 1].end = UInt32(index) + 1
        }
        self.entries = Column(entries)
        self.groups = Column(groups)
        policies = Column(rules.map(\.policy))
        folderBytes = Column(bytes)
        dependsOnFolder = !bytes.isEmpty
        self.sealedNetworks = Column(sealedNetworks)
        allowsUploads =
            defaultPolicy.upload != .deny || rules.contains { $0.policy.upload != .deny }
    }

    /// Whether plain requests from there are refused, whatever they ask for.
    package func isSealed(_ address: Address) -> Bool {
        for index in 0..<sealedNetworks.count where sealedNetworks[index].contains(address) {
            return true
        }
        return false
    }

    /// The order of the table: what is found first decides.
    private static func precedes(_ left: Entry, _ right: Entry) -> Bool {
        if left.network.prefixBitCount != right.network.prefixBitCount {
            return left.network.prefixBitCount > right.network.prefixBitCount
        }
        if left.network != right.network { return left.network.precedes(right.network) }
        if left.folderByteCount != right.folderByteCount {
            return left.folderByteCount > right.folderByteCount
        }
        if left.kinds.isAll != right.kinds.isAll { return !left.kinds.isAll }
        return left.policy < right.policy
    }

    /// The policy of a request; the bytes of its name are in the spelling of a `FileName`.
    ///
    /// A folder's rule holds for its files in each snapshot, and for what nodes ask about them.
    package func policy(
        of address: Address, kind: Fingerprint, name: RawSpan
    ) -> RequestPolicy {
        let fileOffset = dependsOnFolder ? FileName.fileOffset(in: name) : 0
        for number in 0..<groups.count {
            let group = groups[number]
            var index = firstEntry(of: address, in: group)
            while index < Int(group.end), entries[index].network.contains(address) {
                let entry = entries[index]
                if entry.kinds.contains(kind),
                    isBelow(entry, name, 0) || isBelow(entry, name, fileOffset)
                {
                    return policies[Int(entry.policy)]
                }
                index += 1
            }
        }
        return defaultPolicy
    }

    /// The first entry of the group whose network is not before that of `address`.
    private func firstEntry(of address: Address, in group: Group) -> Int {
        let wanted = Network(
            containing: address, prefixBitCount: Int(group.bitCount))
        var (low, high) = (Int(group.first), Int(group.end))
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].network.precedes(wanted) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether a name, from `start` on, is the entry's folder or something in it.
    private func isBelow(_ entry: Entry, _ name: RawSpan, _ start: Int) -> Bool {
        let byteCount = Int(entry.folderByteCount)
        guard byteCount > 0 else { return true }
        let end = start + byteCount
        guard name.byteCount >= end else { return false }
        for index in 0..<byteCount
        where name.byte(at: start + index) != folderBytes[Int(entry.folderOffset) + index] {
            return false
        }
        return name.byteCount == end || name.byte(at: end) == UInt8(ascii: "/")
    }
}

/// A table that its owner keeps for as long as this is used: looking it up retains nothing.
@safe
package struct PolicyReference: @unchecked Sendable {
    private let table: Unmanaged<PolicyTable>

    /// - Parameter table: outlives every use of the reference.
    package init(_ table: PolicyTable) { unsafe self.init(unretained: .passUnretained(table)) }

    /// The same without a retain, wherever the compiler makes a call of it.
    @unsafe
    package init(unretained table: Unmanaged<PolicyTable>) { unsafe self.table = table }

    func policy(
        of address: Address, kind: Fingerprint, name: RawSpan
    ) -> RequestPolicy {
        unsafe table._withUnsafeGuaranteedRef { $0.policy(of: address, kind: kind, name: name) }
    }

    var dependsOnFolder: Bool {
        unsafe table._withUnsafeGuaranteedRef { $0.dependsOnFolder }
    }

    func isSealed(_ address: Address) -> Bool {
        unsafe table._withUnsafeGuaranteedRef { $0.isSealed(address) }
    }

    /// What holds where no rule does.
    var defaultPolicy: RequestPolicy {
        unsafe table._withUnsafeGuaranteedRef { $0.defaultPolicy }
    }
}
