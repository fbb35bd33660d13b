/// The settings that are tried: every blksize with every windowsize.
package struct TuneGrid: Equatable, Sendable {
    package private(set) var blksizes: [Int]
    package private(set) var windowsizes: [Int]

    package static let valuesMax = 16
    /// RFC 2348 and RFC 7440.
    package static let blksizeRange = 8...65464
    package static let windowsizeRange = 1...65535

    /// - Precondition: neither is empty, and all values are in range.
    package init(blksizes: [Int], windowsizes: [Int]) {
        precondition(!blksizes.isEmpty && blksizes.allSatisfy(TuneGrid.blksizeRange.contains))
        precondition(
            !windowsizes.isEmpty && windowsizes.allSatisfy(TuneGrid.windowsizeRange.contains))
        self.blksizes = Set(blksizes).sorted()
        self.windowsizes = Set(windowsizes).sorted()
    }

    /// What people use, what just fits the path, and what is larger, to see whether it does harm.
    package static func blksizes(for path: TunePath) -> [Int] {
        let fitting = path.blksizeFitting
        var sizes = [512, 1024, 1468, 4096, 8192, fitting]
        if fitting < 1468 { sizes.removeAll { $0 == 1468 } }
        return sizes
    }

    package static let windowsizes = [1, 2, 4, 8, 16, 32, 64]

    /// The part of the grid within what the server grants.
    package func limited(blksize: Int, windowsize: Int) -> TuneGrid {
        TuneGrid(
            blksizes: blksizes.map { min($0, blksize) },
            windowsizes: windowsizes.map { min($0, windowsize) })
    }

    /// All settings; the default is among them, because it is what the others are compared with.
    package var settings: [TuneSetting] {
        let all = blksizes.flatMap { blksize in
            windowsizes.map { TuneSetting(blksize: blksize, windowsize: $0) }
        }
        return all.contains(.basic) ? all : [.basic] + all
    }
}
