import TFTPCore
import TFTPNames
import TFTPServing
import TFTPStore
import TFTPWire
import Testing

/// Policies by network, kind of client and folder, tried whole in a small world against what the
/// doc comment says.
struct PolicyTableTests {
    private static let networks = ["all", "10.0.0.0/8", "10.1.0.0/16", "10.1.0.1", "fd00::/8"]
    private static let addresses = ["10.1.0.1", "10.1.0.2", "10.2.0.1", "192.0.2.1", "fd00::1"]
    private static let folders = ["", "a", "a/b"]
    private static let names = ["a", "a/x", "a/b", "a/b/x", "ab/x", "x"]
    private static let kinds: [Fingerprint] = [.ipxe, .grub]

    /// One network, one folder, and one kind or all: every rule there can be in this world.
    private struct Small {
        let network: Int
        let folder: Int
        let kind: Fingerprint?

        static let all = PolicyTableTests.networks.indices.flatMap { network in
            PolicyTableTests.folders.indices.flatMap { folder in
                [Fingerprint.ipxe, nil].map { Small(network: network, folder: folder, kind: $0) }
            }
        }
    }

    private struct Asked {
        let address: Address
        let kind: Fingerprint
        let name: String
        let fileName: FileName
    }

    private static func network(_ index: Int) -> Network { Network(text: networks[index])! }

    private static let asked: [Asked] = addresses.flatMap { address in
        kinds.flatMap { kind in
            names.map { name in
                Asked(
                    address: Address(numericText: address)!, kind: kind, name: name,
                    fileName: try! fileName(name))
            }
        }
    }

    private static func fileName(_ text: String) throws -> FileName {
        let bytes = Array(text.utf8)
        return try FileName(normalising: bytes.span.bytes)
    }

    /// A policy that can be told from all others.
    private static func policy(_ number: Int) -> RequestPolicy {
        var policy = RequestPolicy()
        policy.blksizeMax = UInt16(1000 + number)
        return policy
    }

    private static func rule(_ small: Small, _ number: Int) -> PolicyTable.Rule {
        var rule = PolicyTable.Rule(policy: policy(number))
        if small.network > 0 { rule.networks = [network(small.network)] }
        if small.folder > 0 { rule.folders = [folders[small.folder]] }
        if let kind = small.kind { rule.kinds = [kind] }
        return rule
    }

    private static func holds(_ rule: Small, _ asked: Asked) -> Bool {
        let folder = folders[rule.folder]
        return network(rule.network).contains(asked.address)
            && (rule.kind == nil || rule.kind == asked.kind)
            && (folder.isEmpty || asked.name == folder || asked.name.hasPrefix(folder + "/"))
    }

    /// Which of two rules is nearer, written down once more: prefix, folder, kind.
    private static func rank(_ rule: Small) -> [Int] {
        [
            network(rule.network).prefixBitCount, folders[rule.folder].utf8.count,
            rule.kind == nil ? 0 : 1,
        ]
    }

    private static func expected(_ rules: [Small], _ asked: Asked) -> Int? {
        let holding = rules.indices.filter { holds(rules[$0], asked) }
        return holding.max { left, right in
            let (first, second) = (rank(rules[left]), rank(rules[right]))
            // Of equals the first counts.
            return first == second ? left > right : first.lexicographicallyPrecedes(second)
        }
    }

    @Test func everyPairOfRules() {
        var failures = 0
        for first in Small.all {
            for second in Small.all {
                let rules = [first, second]
                let table = PolicyTable(
                    default: Self.policy(99),
                    rules: rules.enumerated().map { Self.rule($1, $0) })
                for asked in Self.asked {
                    let found = table.policy(
                        of: asked.address, kind: asked.kind, name: asked.fileName.bytes)
                    let wanted = Self.policy(Self.expected(rules, asked) ?? 99)
                    if found != wanted { failures += 1 }
                }
            }
        }
        #expect(Small.all.count == 30)
        #expect(failures == 0)
    }

    /// A file that a folder's rule keeps is not to be had by another way to it.
    @Test func waysToAFile() throws {
        var rule = PolicyTable.Rule(policy: Self.policy(1))
        rule.folders = ["firmware"]
        let table = PolicyTable(default: Self.policy(0), rules: [rule])
        func holds(_ name: String) throws -> Bool {
            let name = try Self.fileName(name)
            let policy = table.policy(
                of: Address(numericText: "10.1.0.1")!, kind: .plain, name: name.bytes)
            return policy == Self.policy(1)
        }
        for name in [
            "firmware", "firmware/key", "sets/1/firmware/key", ".bootstorm/fetch/firmware/key",
            ".bootstorm/query?search/firmware/key", ".bootstorm/manifest/sets/1/firmware/key",
            "/.bootstorm//fetch/./firmware/key",
        ] { #expect(try holds(name), "\(name)") }
        for name in [
            "x", "firmware2/key", "sets/firmware/key", "sets/firmware", ".bootstorm/firmware/key",
            ".bootstorm/fetch/x", "x/.bootstorm/fetch/firmware/key", "sets/1/2/firmware/key",
        ] { #expect(try !holds(name), "\(name)") }
    }

    @Test func noRuleAtAll() {
        let table = PolicyTable(default: Self.policy(7))
        for asked in Self.asked {
            let found = table.policy(
                of: asked.address, kind: asked.kind, name: asked.fileName.bytes)
            #expect(found == Self.policy(7))
        }
    }

    /// A rule with several networks, folders and kinds holds for each combination of them.
    @Test func listsInARule() {
        var rule = PolicyTable.Rule(policy: Self.policy(1))
        rule.networks = [Self.network(2), Self.network(4)]
        rule.folders = ["a/b", "x"]
        rule.kinds = [.ipxe, .uboot]
        let table = PolicyTable(default: Self.policy(0), rules: [rule])
        for asked in Self.asked {
            let isHeld =
                rule.networks.contains { $0.contains(asked.address) } && asked.kind == .ipxe
                && ["a/b", "a/b/x", "x"].contains(asked.name)
            let found = table.policy(
                of: asked.address, kind: asked.kind, name: asked.fileName.bytes)
            #expect(found == Self.policy(isHeld ? 1 : 0))
        }
    }

    /// Hundreds of networks side by side: the binary search finds each.
    @Test func manyNetworks() {
        let rules = (0..<1000).map { number in
            var rule = PolicyTable.Rule(policy: Self.policy(number))
            rule.networks = [Network(text: "10.\(number / 250).\(number % 250).0/24")!]
            return rule
        }
        let table = PolicyTable(default: Self.policy(5000), rules: rules.shuffled())
        let name = Self.asked[0].fileName
        for number in 0..<1000 {
            let address = Address(numericText: "10.\(number / 250).\(number % 250).17")!
            #expect(
                table.policy(of: address, kind: .plain, name: name.bytes) == Self.policy(number))
        }
        let outside = Address(numericText: "10.0.250.1")!
        #expect(table.policy(of: outside, kind: .plain, name: name.bytes) == Self.policy(5000))
    }

    /// A link-local address tells its interface where the wire has zeros.
    @Test func linkLocalAddresses() {
        var rule = PolicyTable.Rule(policy: Self.policy(1))
        rule.networks = [Network(text: "fe80::/64")!]
        let table = PolicyTable(default: Self.policy(0), rules: [rule])
        let address = Address(high: 0xFE80_0000_0000_0003, low: 1)
        let name = Self.asked[0].fileName
        #expect(table.policy(of: address, kind: .plain, name: name.bytes) == Self.policy(1))
    }

    @Test func networksThatNeedASeal() {
        let table = PolicyTable(
            default: Self.policy(0), sealedNetworks: [Self.network(2), Self.network(4)])
        for text in Self.addresses {
            let isSealed = ["10.1.0.1", "10.1.0.2", "fd00::1"].contains(text)
            #expect(table.isSealed(Address(numericText: text)!) == isSealed)
        }
    }
}
