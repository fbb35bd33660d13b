/// What kind of name a request for a missing file had.
///
/// Boot loaders ask for names by the thousand that are not there. The kinds are few and fixed, so
/// that no client can add a label to the metrics.
package enum MissPattern: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// A PXELINUX configuration by Ethernet address: `pxelinux.cfg/01-…`.
    case pxelinuxMAC
    /// By the machine's UUID.
    case pxelinuxUUID
    /// By IP address, which loses a digit at each try.
    case pxelinuxAddress
    case pxelinuxOther
    /// GRUB's lists of modules.
    case grubList
    case grubModule
    case grubConfiguration
    /// A file below the serial number of a Raspberry Pi.
    case raspberryPi
    case deviceTree
    case ipxeScript
    case configuration
    case xml
    case other
}

extension MissPattern {
    /// For people, metrics and JSON.
    package var label: String {
        switch self {
        case .pxelinuxMAC: "pxelinux.cfg/MAC"
        case .pxelinuxUUID: "pxelinux.cfg/UUID"
        case .pxelinuxAddress: "pxelinux.cfg/IP"
        case .pxelinuxOther: "pxelinux.cfg/*"
        case .grubList: "*.lst"
        case .grubModule: "*.mod"
        case .grubConfiguration: "grub.cfg*"
        case .raspberryPi: "SERIAL/*"
        case .deviceTree: "*.dtb"
        case .ipxeScript: "*.ipxe"
        case .configuration: "*.cfg"
        case .xml: "*.xml"
        case .other: "other"
        }
    }

    /// - Parameter name: the name that was asked for, in any spelling.
    package init(name: RawSpan) {
        let end = name.byteCount
        let begin = name.componentBegin(before: end)
        self = .other
        if begin > 0 {
            let folderBegin = name.componentBegin(before: begin - 1)
            if name.equals("pxelinux.cfg", folderBegin..<(begin - 1)) {
                self = MissPattern.pxelinux(name, begin..<end)
                return
            }
        }
        if name.isBelowSerial {
            self = .raspberryPi
        } else if name.begins("grub.cfg", begin..<end) {
            self = .grubConfiguration
        } else {
            self = MissPattern.suffix(name)
        }
    }

    /// Places of the hyphens in `01-52-54-00-12-34-56`, and in a UUID.
    private static let macHyphens: UInt64 = 1 << 2 | 1 << 5 | 1 << 8 | 1 << 11 | 1 << 14 | 1 << 17
    private static let uuidHyphens: UInt64 = 1 << 8 | 1 << 13 | 1 << 18 | 1 << 23

    private static func pxelinux(_ name: RawSpan, _ file: Range<Int>) -> MissPattern {
        if file.count == 20 && name.isHexadecimal(file, hyphens: macHyphens) {
            return .pxelinuxMAC
        }
        if file.count == 36 && name.isHexadecimal(file, hyphens: uuidHyphens) {
            return .pxelinuxUUID
        }
        let isAddress = (1...8).contains(file.count) && name.isHexadecimal(file, hyphens: 0)
        return isAddress ? .pxelinuxAddress : .pxelinuxOther
    }

    private static func suffix(_ name: RawSpan) -> MissPattern {
        if name.ends(".lst") { return .grubList }
        if name.ends(".mod") { return .grubModule }
        if name.ends(".dtb") || name.ends(".dtbo") { return .deviceTree }
        if name.ends(".ipxe") { return .ipxeScript }
        if name.ends(".cfg") { return .configuration }
        return name.ends(".xml") ? .xml : .other
    }
}

/// Letters of ASCII are compared without regard to their case.
extension RawSpan {
    /// In lower case.
    private func folded(_ index: Int) -> UInt8 {
        precondition(index >= 0 && index < byteCount)
        let byte = unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
        return byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }

    private func isSeparator(_ index: Int) -> Bool {
        folded(index) == UInt8(ascii: "/") || folded(index) == UInt8(ascii: "\\")
    }

    /// Where the component begins that ends at `end`.
    fileprivate func componentBegin(before end: Int) -> Int {
        var begin = end
        while begin > 0 && !isSeparator(begin - 1) { begin -= 1 }
        return begin
    }

    /// Whether `range` begins with `text`, which is in lower case.
    fileprivate func begins(_ text: StaticString, _ range: Range<Int>) -> Bool {
        guard range.count >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount {
            // In bounds: `index` is less than the literal's count of code units.
            let expected = unsafe text.utf8Start[index]
            guard folded(range.lowerBound + index) == expected else { return false }
        }
        return true
    }

    fileprivate func equals(_ text: StaticString, _ range: Range<Int>) -> Bool {
        range.count == text.utf8CodeUnitCount && begins(text, range)
    }

    fileprivate func ends(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        return byteCount > count && begins(text, (byteCount - count)..<byteCount)
    }

    /// Whether `range` has hexadecimal digits, and hyphens exactly at these places (bit 0: the
    /// first byte).
    fileprivate func isHexadecimal(_ range: Range<Int>, hyphens: UInt64) -> Bool {
        for index in range {
            let byte = folded(index)
            let isHyphen = hyphens >> UInt64(index - range.lowerBound) & 1 != 0
            let isDigit = byte >= 0x30 && byte <= 0x39 || byte >= 0x61 && byte <= 0x66
            guard isHyphen ? byte == UInt8(ascii: "-") : isDigit else { return false }
        }
        return true
    }

    /// Whether the first component is the serial number of a Raspberry Pi: eight digits.
    fileprivate var isBelowSerial: Bool {
        let begin = byteCount > 0 && isSeparator(0) ? 1 : 0
        return byteCount > begin + 8 && isSeparator(begin + 8)
            && isHexadecimal(begin..<(begin + 8), hyphens: 0)
    }
}
