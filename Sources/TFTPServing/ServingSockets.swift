package import TFTPCore

/// What the server knows of one of its shard's sockets.
package struct ServingSocket: BitwiseCopyable, Sendable {
    /// Requests come to it.
    package var isListener: Bool
    /// For a listener: where the sockets lie that answer its requests.
    package var pools: SocketPools

    package init(isListener: Bool, pools: SocketPools = SocketPools()) {
        self.isListener = isListener
        self.pools = pools
    }
}

/// Which sockets answer the requests of one listener, by direction and family, as ranges of socket
/// numbers.
package struct SocketPools: BitwiseCopyable, Sendable {
    package struct Pool: BitwiseCopyable, Sendable {
        package var first: UInt16
        package var count: UInt16

        package init(first: UInt16 = 0, count: UInt16 = 0) {
            self.first = first
            self.count = count
        }
    }

    package var download = Pool()
    package var upload = Pool()
    package var downloadIPv6 = Pool()
    package var uploadIPv6 = Pool()

    package init() {}

    func pool(isUpload: Bool, isIPv6: Bool) -> Pool {
        switch (isUpload, isIPv6) {
        case (false, false): download
        case (true, false): upload
        case (false, true): downloadIPv6
        case (true, true): uploadIPv6
        }
    }
}

/// The sockets of one shard, by number, and which of them the next transfer speaks from.
struct SocketTable: ~Copyable {
    private let sockets: Column<ServingSocket>
    private var random: SplitMix64

    init(_ sockets: [ServingSocket], seed: UInt64) {
        self.sockets = Column(sockets)
        random = SplitMix64(seed: seed)
    }

    func isListener(_ socket: UInt16) -> Bool { sockets[Int(socket)].isListener }

    /// How many sockets could answer this request.
    func poolCount(_ flow: Flow, isUpload: Bool) -> Int {
        let isIPv6 = !flow.peer.address.isIPv4
        return Int(
            sockets[Int(flow.socket)].pools.pool(isUpload: isUpload, isIPv6: isIPv6).count)
    }

    /// The flow that a transfer will speak: from any socket of the pool (RFC 1350 §4: a TID is
    /// random), but not from `passed` where there is another, since packets of an old transfer may
    /// still be under way to it.
    mutating func transferFlow(_ flow: Flow, isUpload: Bool, passing passed: UInt16?) -> Flow {
        let isIPv6 = !flow.peer.address.isIPv4
        let pool = sockets[Int(flow.socket)].pools.pool(isUpload: isUpload, isIPv6: isIPv6)
        let choice = UInt16(truncatingIfNeeded: random.next() >> 48) % pool.count
        var number = pool.first + choice
        if number == passed { number = pool.first + (choice + 1) % pool.count }
        return Flow(peer: flow.peer, local: flow.local, socket: number)
    }
}

/// The endpoints of the server's own sockets: what comes from one of them is never answered, or two
/// servers, or one with itself, would talk for ever.
///
/// A value that points to constant memory; the owner calls `destroy` after the last use of any
/// copy.
@safe
package struct OwnEndpoints: @unchecked Sendable {
    /// One socket of the server's.
    package struct Entry: BitwiseCopyable, Sendable {
        package var port: UInt16
        /// nil: it is bound to every address of the host.
        package var address: Address?

        package init(port: UInt16, address: Address?) {
            self.port = port
            self.address = address
        }
    }

    /// A bit for each port, which settles nearly all datagrams.
    private let ports: UnsafeMutableBufferPointer<UInt64>
    /// Sorted by port.
    private let entries: UnsafeMutableBufferPointer<Entry>
    /// Those of the host.
    private let addresses: UnsafeMutableBufferPointer<Address>

    private static let wordCount = 65_536 / 64

    package init(_ sockets: [Entry], addresses hostAddresses: [Address]) {
        unsafe ports = .allocate(capacity: OwnEndpoints.wordCount)
        unsafe ports.initialize(repeating: 0)
        for socket in sockets {
            unsafe ports[Int(socket.port) / 64] |= 1 << UInt64(socket.port % 64)
        }
        unsafe entries = .allocate(capacity: sockets.count)
        _ = unsafe entries.initialize(from: sockets.sorted { $0.port < $1.port })
        unsafe addresses = .allocate(capacity: hostAddresses.count)
        _ = unsafe addresses.initialize(from: hostAddresses)
    }

    package func destroy() {
        unsafe ports.deallocate()
        unsafe entries.deallocate()
        unsafe addresses.deallocate()
    }

    /// Whether `peer`, a sender to our address `local`, is one of the sockets.
    func contains(_ peer: Endpoint, local: Address) -> Bool {
        let word = unsafe ports[Int(peer.port) / 64]
        guard word & (1 << UInt64(peer.port % 64)) != 0 else { return false }
        return hasSocket(peer, local)
    }

    @inline(never)
    private func hasSocket(_ peer: Endpoint, _ local: Address) -> Bool {
        var index = firstIndex(ofPort: peer.port)
        while unsafe index < entries.count && entries[index].port == peer.port {
            guard let address = unsafe entries[index].address else {
                if isOfHost(peer.address, local) { return true }
                index += 1
                continue
            }
            if address == peer.address { return true }
            index += 1
        }
        return false
    }

    private func firstIndex(ofPort port: UInt16) -> Int {
        var (low, high) = unsafe (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if unsafe entries[middle].port < port { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func isOfHost(_ address: Address, _ local: Address) -> Bool {
        if address == local || address.isLoopback { return true }
        for index in unsafe addresses.indices where unsafe addresses[index] == address {
            return true
        }
        return false
    }
}
