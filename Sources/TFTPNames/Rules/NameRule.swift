package import TFTPCore
package import TFTPWire

/// One rule: when it applies, and what it does then.
package struct NameRule: Sendable {
    /// Where it stands in its file; its number, counted from 1, where there is none.
    package var line: Int
    package var conditions = Conditions()
    package var action = Action.none
    /// The folder to look in from now on, by its path.
    package var root: String?
    package var then = Then.proceed

    /// All have to hold.
    package struct Conditions: Sendable {
        /// The expression that the name matches somewhere; nil: any name.
        package var match: NamePattern?
        /// The rule applies where `match` does not.
        package var isInverse = false
        package var direction: Opcode?
        package var mode: TransferMode?
        /// One of these; empty: any.
        package var kinds: Set<Fingerprint> = []
        package var networks: [Network] = []
        package var macs: [MACPattern] = []

        package init() {}
    }

    package enum Action: Sendable {
        case none
        /// Replace what was matched, once or everywhere.
        case rewrite(Replacement, everywhere: Bool)
        /// Look for these names in order; rules end here.
        case files([Replacement])
        case deny(code: ErrorCode, message: Replacement?)
        /// Make the content from a template; rules end here.
        case template(Replacement)
    }

    /// What comes after the rule.
    package enum Then: String, Sendable, CaseIterable {
        case proceed = "continue"
        case stop
        /// Begin with the first rule again.
        case restart
    }

    package init(line: Int) { self.line = line }

    /// Whether there are conditions beside the expression.
    var isForSome: Bool {
        conditions.direction != nil || conditions.mode != nil || !conditions.kinds.isEmpty
            || !conditions.networks.isEmpty || !conditions.macs.isEmpty
    }

    /// Whether the name lacks what every match of the rule's expression has.
    func isRuledOut(_ name: [UInt8], steps: inout Int) -> Bool {
        guard !conditions.isInverse, let match = conditions.match else { return false }
        return match.isRuledOut(name, steps: &steps)
    }

    /// What the rule's outcome depends on.
    package var dependencies: NameDependencies {
        var result: NameDependencies = []
        if !conditions.kinds.isEmpty { result.insert(.kind) }
        if !conditions.networks.isEmpty { result.insert(.client) }
        if !conditions.macs.isEmpty { result.formUnion([.client, .host]) }
        for replacement in action.replacements {
            for variable in replacement.variables { result.formUnion(variable.dependencies) }
        }
        return result
    }
}

extension NameRule.Action {
    var replacements: [Replacement] {
        switch self {
        case .none: []
        case .rewrite(let replacement, _), .template(let replacement): [replacement]
        case .files(let replacements): replacements
        case .deny(_, let message): message.map { [$0] } ?? []
        }
    }
}

/// Ethernet addresses that begin alike: `b8:27:eb:*`, or one.
package struct MACPattern: Hashable, Sendable, BitwiseCopyable {
    private let first: UInt64
    private let mask: UInt64

    /// Reads an address, or its first bytes and `*`; nil for anything else.
    package init?(text: String) {
        guard text.hasSuffix("*") else {
            guard let address = MACAddress(text: text) else { return nil }
            first = address.value
            mask = 0xFFFF_FFFF_FFFF
            return
        }
        let digits = text.dropLast().filter { $0 != ":" && $0 != "-" && $0 != "." }
        let count = digits.utf8.count
        guard count % 2 == 0, (0...10).contains(count) else { return nil }
        guard let value = count == 0 ? 0 : UInt64(digits, radix: 16) else { return nil }
        let shift = UInt64(48 - 4 * count)
        first = value << shift
        mask = (0xFFFF_FFFF_FFFF >> shift) << shift
    }

    package func contains(_ address: MACAddress) -> Bool { address.value & mask == first }
}
