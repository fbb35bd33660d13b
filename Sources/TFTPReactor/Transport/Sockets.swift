internal import CLinux
internal import Glibc
internal import SystemPackage
internal import TFTPCore
internal import TFTPServing

/// One UDP socket of a shard.
struct ShardSocket: BitwiseCopyable, Sendable {
    enum Role: UInt8 {
        case listener
        case download
        case upload
    }

    var file: Int32
    var port: UInt16
    var role: Role
    var isIPv6: Bool
    /// Bound to no address of its own: each datagram tells which one it was for, and each reply
    /// which it is from.
    var tellsLocal: Bool
    /// The address it is bound to.
    var address: Address
    /// Takes coalesced or large datagrams, which need large buffers.
    var takesLarge: Bool { role == .upload }
    /// Whether what does not fit the path leaves in fragments. A server's sockets begin without.
    var fragments = false
    /// Bound by another process, which may keep it open.
    var isPassed = false
    /// Whether this shard reads it.
    var receives = true
    /// For a listener: among how many shards its datagrams are shared out by `SocketSteering`; 0:
    /// by the kernel's own hash.
    var steeredCount: UInt32 = 0
    /// For a listener: where the sockets lie that answer its requests.
    var pools = SocketPools()
}

extension ShardSocket {
    /// What the server knows of it.
    var serving: ServingSocket { ServingSocket(isListener: role == .listener, pools: pools) }

    /// A place for a socket with none in it.
    static let none = ShardSocket(
        file: -1, port: 0, role: .listener, isIPv6: false, tellsLocal: false,
        address: .unspecified)
}

/// Opens the sockets of every shard before any thread starts, so that a port in use is told at
/// once.
struct SocketOpener: ~Copyable {
    let configuration: ReactorConfiguration
    let shardCount: Int
    /// What listeners and their pools may come to in one shard.
    private static let perShardMax = 256
    /// The next port of the range to try.
    private var nextPort: Int
    var sockets: [[ShardSocket]]
    /// The listeners, with the true port.
    private(set) var listening: [ListenAddress] = []
    /// Shards that read sockets of another process.
    private(set) var readerCount = 0

    init(configuration: ReactorConfiguration, shardCount: Int) {
        self.configuration = configuration
        self.shardCount = shardCount
        nextPort = Int(configuration.ports?.lowerBound ?? 0)
        sockets = Array(repeating: [], count: shardCount)
    }

    mutating func openAll() throws(StartError) {
        for file in configuration.passedSockets { try adopt(file) }
        for listen in configuration.listen {
            var port = listen.port
            for shard in 0..<shardCount {
                port = try openListener(listen, port: port, shard: shard)
            }
            listening.append(ListenAddress(address: listen.address, port: port))
            if configuration.isSinglePort { steerLatestListeners() }
        }
        for shard in 0..<shardCount where sockets[shard].count > SocketOpener.perShardMax {
            throw .tooManyAddresses(configuration.listen.count)
        }
    }

    func closeAll() {
        for socket in sockets.joined() { close(socket) }
    }

    private func close(_ socket: ShardSocket) { clinux_close(socket.file) }

    private mutating func openListener(
        _ listen: ListenAddress, port: UInt16, shard: Int
    ) throws(StartError) -> UInt16 {
        let isWildcard = listen.address.isUnspecified
        var isIPv6 = !listen.address.isIPv4
        var options = clinux_udp_options(
            address: clinux_address(listen.address), port: port, is_ipv6: isIPv6,
            is_dual: isWildcard && isIPv6, reuses_port: true, wants_local: isWildcard,
            coalesces: false, never_fragments: true, binds_freely: !isWildcard,
            reports_errors: false, interface_index: 0,
            buffer_bytes: Int32(ShardLimits.socketBufferByteCount))
        try probe(options, listen, shard: shard)
        var file = unsafe clinux_udp_open(&options)
        if Errno(rawValue: -file) == .addressFamilyNotSupported && isWildcard && isIPv6 {
            // No IPv6 on this host: every address is every IPv4 address.
            isIPv6 = false
            options.is_ipv6 = false
            file = unsafe clinux_udp_open(&options)
        }
        guard file >= 0 else { throw .listen(listen, Errno(rawValue: -file)) }
        let bound = UInt16(clinux_udp_port(file))
        let socket = ShardSocket(
            file: file, port: bound, role: .listener, isIPv6: isIPv6, tellsLocal: isWildcard,
            address: listen.address)
        try add(socket, hasIPv4: !isIPv6 || isWildcard, shard: shard)
        return bound
    }

    /// Adds a listener and the sockets that answer its requests.
    private mutating func add(
        _ listener: ShardSocket, hasIPv4: Bool, shard: Int
    ) throws(StartError) {
        let number = sockets[shard].count
        let twin = sockets[shard].first {
            $0.role == .listener && $0.address == listener.address && $0.port == listener.port
                && $0.isIPv6 == listener.isIPv6
        }
        sockets[shard].append(listener)
        guard !configuration.isSinglePort else { return }
        if let twin {
            sockets[shard][number].pools = twin.pools
            return
        }
        let listen = ListenAddress(address: listener.address, port: listener.port)
        var pools = SocketPools()
        if hasIPv4 {
            pools.download = try openPool(listen, shard: shard, .download, isIPv6: false)
            pools.upload = try openPool(listen, shard: shard, .upload, isIPv6: false)
        }
        if listener.isIPv6 {
            pools.downloadIPv6 = try openPool(listen, shard: shard, .download, isIPv6: true)
            pools.uploadIPv6 = try openPool(listen, shard: shard, .upload, isIPv6: true)
        }
        sockets[shard][number].pools = pools
    }

    /// Takes a socket over that another process has bound. One shard reads it; all have it, to
    /// answer through.
    ///
    /// Several of one address (SO_REUSEPORT) are read by as many shards.
    private mutating func adopt(_ file: Int32) throws(StartError) {
        var options = clinux_udp_options()
        let bufferByteCount = Int32(ShardLimits.socketBufferByteCount)
        guard unsafe clinux_udp_adopt(file, bufferByteCount, &options) == 0 else {
            throw .passedSocket(file)
        }
        let isWildcard = options.wants_local
        let address = isWildcard ? .unspecified : Address(options.address)
        let listen = ListenAddress(address: address, port: options.port)
        let reader = listening.count { $0 == listen } % shardCount
        readerCount = max(readerCount, reader + 1)
        listening.append(listen)
        for shard in 0..<shardCount {
            let copy = shard == 0 ? file : clinux_duplicate(file)
            guard copy >= 0 else { throw .transferSocket(Errno(rawValue: -copy)) }
            var socket = ShardSocket(
                file: copy, port: options.port, role: .listener, isIPv6: options.is_ipv6,
                tellsLocal: isWildcard, address: address)
            socket.isPassed = true
            socket.receives = shard == reader
            try add(socket, hasIPv4: !options.is_ipv6 || options.is_dual, shard: shard)
        }
    }

    /// A second in all.
    private static let attemptsMax = 50
    private static let attemptMicroseconds: UInt32 = 20_000

    /// Another server of this user could share the port with us (SO_REUSEPORT), and half of the
    /// clients would go there: it must be free before we share it among our own shards.
    private func probe(
        _ options: clinux_udp_options, _ listen: ListenAddress, shard: Int
    ) throws(StartError) {
        guard shard == 0, options.port != 0 else { return }
        var alone = options
        alone.reuses_port = false
        // The kernel takes a ring apart after its process has ended, and its sockets with it.
        for attempt in 0...SocketOpener.attemptsMax {
            let file = unsafe clinux_udp_open(&alone)
            if file >= 0 { clinux_close(file) }
            let errno = Errno(rawValue: -file)
            guard errno == .addressInUse else { return }
            if attempt == SocketOpener.attemptsMax { throw .listen(listen, errno) }
            usleep(SocketOpener.attemptMicroseconds)
        }
    }

    private mutating func openPool(
        _ listen: ListenAddress, shard: Int, _ role: ShardSocket.Role, isIPv6: Bool
    ) throws(StartError) -> SocketPools.Pool {
        if role == .upload && !configuration.takesUploads { return SocketPools.Pool() }
        let first = sockets[shard].count
        for _ in 0..<poolCount(role) {
            let isWildcard = listen.address.isUnspecified
            let socket = try openTransferSocket(
                listen.address, role, isIPv6: isIPv6, isWildcard: isWildcard)
            sockets[shard].append(socket)
        }
        return SocketPools.Pool(
            first: UInt16(first), count: UInt16(sockets[shard].count - first))
    }

    /// How many sockets a pool gets: fewer where a range of ports has to do for all of them.
    private func poolCount(_ role: ShardSocket.Role) -> Int {
        let wanted =
            role == .upload ? ShardLimits.uploadSocketsMax : ShardLimits.downloadSocketsMax
        guard let ports = configuration.ports else { return wanted }
        let kinds = configuration.takesUploads ? 2 : 1
        // Each wildcard listener has pools for two families, which may use the same port numbers;
        // counting them apart only makes the pools a little smaller.
        let pools = shardCount * kinds * configuration.listen.count * 2
        return max(1, min(wanted, ports.count / pools))
    }

    private mutating func openTransferSocket(
        _ address: Address, _ role: ShardSocket.Role, isIPv6: Bool, isWildcard: Bool
    ) throws(StartError) -> ShardSocket {
        while true {
            let port = try takePort()
            var options = clinux_udp_options(
                address: clinux_address(isWildcard ? .unspecified : address), port: port,
                is_ipv6: isIPv6, is_dual: false, reuses_port: false, wants_local: isWildcard,
                coalesces: role == .upload, never_fragments: true, binds_freely: !isWildcard,
                reports_errors: false,
                interface_index: 0, buffer_bytes: Int32(ShardLimits.socketBufferByteCount))
            let file = unsafe clinux_udp_open(&options)
            if file >= 0 {
                return ShardSocket(
                    file: file, port: UInt16(clinux_udp_port(file)), role: role, isIPv6: isIPv6,
                    tellsLocal: isWildcard, address: address)
            }
            // In a given range another process may have a port: the next one will do.
            let errno = Errno(rawValue: -file)
            guard port != 0, errno == .addressInUse else { throw .transferSocket(errno) }
        }
    }

    private mutating func takePort() throws(StartError) -> UInt16 {
        guard let ports = configuration.ports else { return 0 }
        guard nextPort <= Int(ports.upperBound) else {
            throw .portsExhausted(ports, shardCount: shardCount)
        }
        nextPort += 1
        return UInt16(nextPort - 1)
    }
}

extension clinux_address {
    init(_ address: Address) { self.init(high: address.high, low: address.low) }
}

extension Address {
    init(_ address: clinux_address) { self.init(high: address.high, low: address.low) }
}
