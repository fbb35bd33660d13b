package import TFTPStore
internal import TFTPWire

/// All that decides which file a name means: rules or a map file, roots, and folders per client.
package struct NamePlan: Sendable {
    package enum Map: Sendable {
        case none
        case rules(RuleSet)
        /// A map file of tftp-hpa.
        case hpa(HPARules)
        /// A pattern file of atftpd.
        case pcre(PCRERules)
    }

    package var map = Map.none
    /// The folder of a client within a root, which is looked into before the root itself.
    package var clientFolder: ClientFolder?
    /// Where no file has the name as it was asked, one whose name differs in the case of ASCII
    /// letters will do.
    package var isAnyCase = false
    /// The roots that are searched, in order, by their numbers among all folders. At least one.
    package var searchedRoots = [0]
    /// Folders that only rules lead to, by their numbers among all folders.
    package var ruleRoots: [String: Int] = [:]

    package init() {}

    /// How a client's folder is named.
    package enum ClientFolder: String, Sendable, CaseIterable {
        /// `192.0.2.10`.
        case ip
        /// `C000020A`.
        case ipHexadecimal = "ip-hex"
        /// `b8-27-eb-01-02-03`, as dnsmasq names it.
        case mac
        /// `01-b8-27-eb-01-02-03`, as PXELINUX writes it.
        case pxeMAC = "mac-pxe"
        case serial

        var variable: NameVariable {
            switch self {
            case .ip: .ip
            case .ipHexadecimal: .ipHexadecimal
            case .mac: .macHyphens
            case .pxeMAC: .mac
            case .serial: .serial
            }
        }
    }

    /// Whether a name can mean anything but itself in the first root.
    package var isActive: Bool {
        if case .none = map {} else { return true }
        return clientFolder != nil || isAnyCase || searchedRoots.count > 1
    }

    /// Inputs of a decision other than name, direction and mode.
    package var dependencies: NameDependencies {
        var result = clientFolder?.variable.dependencies ?? []
        switch map {
        case .none, .pcre: break
        case .rules(let rules): result.formUnion(rules.dependencies)
        case .hpa(let rules): result.formUnion(rules.dependencies)
        }
        return result
    }

    /// Whether names are looked up as they stand: the map's own server does so.
    package var isLiteral: Bool {
        switch map {
        case .none, .rules: false
        case .hpa, .pcre: true
        }
    }

    /// Whether a name is refused because it has `..`: rules match names, and it has many spellings.
    package func refusesGoingUp(_ name: [UInt8]) -> Bool {
        guard case .rules = map, let name = try? FileName(literal: unsafe name.span.bytes) else {
            return false
        }
        return name.goesUp
    }

    // MARK: Deciding

    /// Decides what the name of a request means.
    ///
    /// - Parameters:
    ///   - exists: whether a file of a literal name could be transferred; asked for tftp-hpa's `E`
    ///     only.
    ///   - note: is told of each rule that has an effect.
    package func decide(
        _ request: NameRequest, exists: ([UInt8]) -> Bool = { _ in false },
        note: (NameStep) -> Void = { _ in }
    ) -> NameDecision {
        var request = request
        if request.serial == nil { request.serial = NamePlan.serial(in: request.name) }
        switch map {
        case .none: return files([request.name], root: nil, request)
        case .rules(let rules): return decide(rules, request, note: note)
        case .hpa(let rules):
            switch rules.run(request, exists: exists, note: note) {
            case .name(let name): return files([name], root: nil, request)
            case .refused(let refusal): return .refused(refusal)
            }
        case .pcre(let rules):
            if NamePlan.goesUp(request.name) { return .refused(NameRefusal(.goesUp)) }
            // A file of the name that was asked comes first.
            switch rules.run(request, note: note) {
            case .unchanged: return files([request.name], root: nil, request)
            case .name(let name):
                let substitutes = NamePlan.goesUp(name) ? [] : [name]
                return files([request.name], substitutes, root: nil, request)
            }
        }
    }

    private func decide(
        _ rules: RuleSet, _ request: NameRequest, note: (NameStep) -> Void
    ) -> NameDecision {
        var request = request
        if let name = NamePlan.normalised(request.name) { request.name = name }
        switch rules.run(request, note: note) {
        case .files(let names, let root): return files(names, root: root, request)
        case .template(let path, let variables):
            return .template(path: String(decoding: path, as: UTF8.self), variables: variables)
        case .refused(let refusal): return .refused(refusal)
        }
    }

    private func files(
        _ names: [[UInt8]], _ substitutes: [[UInt8]] = [], root: String?, _ request: NameRequest
    ) -> NameDecision {
        let index = root.flatMap { ruleRoots[$0] }
        let folder = clientFolder?.variable.value(for: request)
        var candidates: [NameCandidate] = []
        for (number, name) in (names + substitutes).enumerated() {
            let isSubstitute = number >= names.count
            if let folder {
                let within = Array(folder.utf8) + [UInt8(ascii: "/")] + name
                candidates.append(
                    NameCandidate(root: index, name: within, isSubstitute: isSubstitute))
            }
            candidates.append(NameCandidate(root: index, name: name, isSubstitute: isSubstitute))
        }
        return .files(candidates)
    }

    /// Whether atftpd refuses the name: it holds `/../` behind the folder's path.
    private static func goesUp(_ name: [UInt8]) -> Bool {
        let parts = ([UInt8(ascii: "/")] + name).split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return parts.dropFirst().dropLast().contains { $0.elementsEqual("..".utf8) }
    }

    /// The canonical spelling of a name; nil if the name is invalid.
    private static func normalised(_ name: [UInt8]) -> [UInt8]? {
        guard let normal = try? FileName(normalising: unsafe name.span.bytes) else { return nil }
        return normal.byteArray
    }

    /// A Raspberry Pi asks for its files below its serial number: eight hexadecimal digits in lower
    /// case.
    package static func serial(in name: [UInt8]) -> String? {
        let first = name.drop { $0 == UInt8(ascii: "/") }.prefix { $0 != UInt8(ascii: "/") }
        let isSerial =
            first.count == 8 && first.endIndex < name.endIndex
            && first.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x66).contains($0)
            }
        return isSerial ? String(decoding: first, as: UTF8.self) : nil
    }
}

extension NamePlan {
    /// The names that a request may have meant, each of which the rules see by itself: as it
    /// stands, then without what a client may have put behind it by mistake, then without the path
    /// of the root itself, which old firmware and configurations have in front. A map file of
    /// another server sees the name as it came.
    ///
    /// - Parameter forUpload: what a client put behind the name is part of it then.
    package func spellings(
        of name: [UInt8], rootPath: String, forUpload: Bool = false
    ) -> [[UInt8]] {
        guard !isLiteral else { return [name] }
        guard let first = try? FileName(normalising: unsafe name.span.bytes),
            !first.namesDirectory, !first.isReserved
        else { return [] }
        if forUpload {
            let names = [first, first.dropping(prefix: rootPath)]
            return names.compactMap { $0?.byteArray }
        }
        return first.spellings(rootPath: rootPath).map(\.byteArray)
    }

    /// The names to look for in a root. With a map file of another server the root's own path may
    /// stand in front.
    package func names(of candidate: NameCandidate, rootPath: String) -> [FileName] {
        guard isLiteral else {
            return (try? FileName(normalising: unsafe candidate.name.span.bytes)).map { [$0] } ?? []
        }
        guard let name = try? FileName(literal: unsafe candidate.name.span.bytes),
            !name.namesDirectory,
            !name.isReserved
        else { return [] }
        return [name] + (name.dropping(prefix: rootPath).map { [$0] } ?? [])
    }
}

extension FileName {
    /// The names that a request may mean, the requested name first.
    package func spellings(rootPath: String) -> [FileName] {
        var names = [self]
        if let stripped = strippingTrailingJunk() { names.append(stripped) }
        for name in names {
            if let inner = name.dropping(prefix: rootPath) { names.append(inner) }
        }
        return names
    }
}
