/// What the clients of a trial ask for. Without a `timeout` they leave that option out.
package struct TuneSetting: Hashable, Codable, Sendable {
    package var blksize: Int
    package var windowsize: Int
    package var timeout: Int?

    package init(blksize: Int, windowsize: Int, timeout: Int? = nil) {
        self.blksize = blksize
        self.windowsize = windowsize
        self.timeout = timeout
    }

    /// What RFC 1350 has, and what every client gets that asks for nothing.
    package static let basic = TuneSetting(blksize: 512, windowsize: 1)
}

/// A setting, and how many clients use it at once.
package struct TuneCell: Hashable, Sendable {
    package var setting: TuneSetting
    package var clientCount: Int

    package init(_ setting: TuneSetting, clientCount: Int) {
        self.setting = setting
        self.clientCount = clientCount
    }
}

extension StormConfiguration.PlainOptions {
    /// The options that ask for `setting`; what is the default anyway is left out, as boot clients
    /// do.
    init(_ setting: TuneSetting) {
        self.init()
        if setting.blksize != TuneSetting.basic.blksize { blksize = UInt16(setting.blksize) }
        if setting.windowsize > 1 { windowsize = UInt16(setting.windowsize) }
        timeout = setting.timeout.map { UInt8($0) }
    }
}
