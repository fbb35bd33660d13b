/// A colour.
struct Ink {
    var red: UInt8
    var green: UInt8
    var blue: UInt8

    init(_ hex: UInt32) {
        red = UInt8(truncatingIfNeeded: hex >> 16)
        green = UInt8(truncatingIfNeeded: hex >> 8)
        blue = UInt8(truncatingIfNeeded: hex)
    }

    static let paper = Ink(0xFFFFFF)
    static let text = Ink(0x222222)
    static let faint = Ink(0x777777)
    static let frame = Ink(0x999999)
    static let grid = Ink(0xE4E4E4)

    /// For curves side by side; those with bad colour vision tell them apart (Okabe and Ito).
    static let blue = Ink(0x0072B2)
    static let orange = Ink(0xD55E00)
    static let green = Ink(0x009E73)

    var hex: String {
        let digits = String(
            UInt32(red) << 16 | UInt32(green) << 8 | UInt32(blue), radix: 16, uppercase: true)
        return "#" + String(repeating: "0", count: 6 - digits.count) + digits
    }

    /// The colour of a cell of a heat map, from pale at 0 to deep at 1; also in print its lightness
    /// only falls.
    static func heat(_ fraction: Double) -> Ink {
        let stops = [Ink(0xFFFFE5), Ink(0xFEE391), Ink(0xFE9929), Ink(0xCC4C02), Ink(0x662506)]
        let place = min(max(fraction, 0), 1) * Double(stops.count - 1)
        let index = min(Int(place), stops.count - 2)
        return stops[index].mixed(with: stops[index + 1], place - Double(index))
    }

    /// Black or white, whichever is read more easily upon this colour.
    var contrast: Ink {
        let lightness = 0.299 * Double(red) + 0.587 * Double(green) + 0.114 * Double(blue)
        return lightness > 140 ? .text : .paper
    }

    private func mixed(with other: Ink, _ share: Double) -> Ink {
        func mix(_ mine: UInt8, _ theirs: UInt8) -> UInt32 {
            UInt32((Double(mine) * (1 - share) + Double(theirs) * share).rounded())
        }
        return Ink(
            mix(red, other.red) << 16 | mix(green, other.green) << 8 | mix(blue, other.blue))
    }
}
