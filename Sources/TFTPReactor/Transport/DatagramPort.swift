internal import CLinux
internal import Glibc
package import SystemPackage
package import TFTPCore
internal import Uring

/// A thread's way to the network: its ring, its sockets, the buffers that datagrams arrive in and
/// the scratch that they leave from.
///
/// One thread makes it and uses it. A turn is `enter`, `drain`, `event` for each, any number of
/// sends, `finishTurn`; it allocates nothing, retains nothing and takes no lock.
///
/// Sends complete inside the `enter` that submits them (MSG_DONTWAIT), so what they point to has to
/// stay until `isSubmitted` is true after an `enter`, and not longer. (More than twelve properties:
/// each is one piece of memory that the kernel or a turn works in.)
@safe
package struct DatagramPort: ~Copyable {
    let sockets: Column<ShardSocket>
    package let socketCount: Int
    /// Which of the places beyond those are free, for sockets that come and go.
    private var freePlaces: FreeList
    var ring: Ring
    private var buffers: BufferRing
    /// Large buffers for coalesced datagrams; absent where no socket coalesces.
    private var largeBuffers: BufferRing?
    var outbox = Outbox()
    /// Receives that ended and wait to be armed again, a bit a socket.
    private let disarmed: Column<UInt64>
    private let closing: ClosingSockets
    /// The listeners are on their way out, and the thread looks often whether they are gone.
    var isLeaving = false
    /// Listeners that nothing is received from any more.
    private let leftListeners: Column<Int32>
    private var leftListenerCount = 0
    /// What is sent now may be cut on the way: it goes out without DF.
    var cutsDatagrams = false
    /// A `msghdr` that says how much room a datagram's name and control data get.
    private let receiveHeader: UnsafeMutablePointer<msghdr>
    private let wakeup: Int32
    private var alarms = AlarmStack()
    /// The kernel has taken every SQE, so nothing that was queued before the latest `enter` is read
    /// any more.
    package private(set) var isSubmitted = true

    /// - Parameters:
    ///   - wakeup: an eventfd that wakes the thread.
    ///   - placeCount: how many sockets may be attached later, all of them with large buffers.
    init(
        sockets opened: [ShardSocket], wakeup: Int32, bufferCount: Int,
        largeBufferCount: Int = ShardLimits.largeBuffersMax, placeCount: Int = 0,
        ringSizeShift: Int = 0
    ) throws(Errno) {
        let capacity = opened.count + placeCount
        precondition(capacity <= ShardLimits.socketsMax)
        let locksMemory = clinux_begin_locking_memory()
        defer { if locksMemory { clinux_end_locking_memory() } }
        var ring = try Ring(
            entries: ShardLimits.entryCount >> UInt32(ringSizeShift),
            completions: ShardLimits.completionCount >> UInt32(ringSizeShift), uses: .network)
        try ring.registerFiles(count: capacity)
        for (index, socket) in opened.enumerated() { try ring.setFile(index, socket.file) }
        let buffers = try BufferRing(
            ring: &ring, group: 0, count: bufferCount,
            bufferByteCount: ShardLimits.bufferByteCount)
        let coalesces = placeCount > 0 || opened.contains { $0.takesLarge }
        let largeBuffers = try DatagramPort.makeLargeBuffers(
            coalesces ? largeBufferCount : 0, &ring)
        self.ring = ring
        self.buffers = buffers
        self.largeBuffers = largeBuffers
        self.wakeup = wakeup
        sockets = Column(repeating: ShardSocket.none, count: max(1, capacity))
        socketCount = opened.count
        freePlaces = FreeList(count: placeCount)
        disarmed = Column(repeating: 0, count: capacity / 64 + 1)
        closing = ClosingSockets(capacity: capacity)
        leftListeners = Column(uninitializedCount: max(1, capacity))
        unsafe receiveHeader = .allocate(capacity: 1)
        unsafe receiveHeader.initialize(to: msghdr())
        for (index, socket) in opened.enumerated() { sockets[index] = socket }
        unsafe receiveHeader.pointee.msg_namelen = socklen_t(CLINUX_NAME_BYTES)
        unsafe receiveHeader.pointee.msg_controllen = Int(CLINUX_CONTROL_BYTES)
        for socket in 0..<socketCount where sockets[socket].receives { arm(socket) }
        _ = self.ring.queuePoll(file: wakeup, userData: Tag.wakeup)
    }

    private static func makeLargeBuffers(
        _ count: Int, _ ring: inout Ring
    ) throws(Errno) -> BufferRing? {
        guard count > 0 else { return nil }
        return try BufferRing(
            ring: &ring, group: 1, count: count,
            bufferByteCount: ShardLimits.largeBufferByteCount)
    }

    deinit { unsafe receiveHeader.deallocate() }

    /// Ends every request the kernel still has, and only then gives back the memory it knows.
    package mutating func close() {
        ring.cancelAll()
        buffers.destroy(ring: &ring)
        largeBuffers?.destroy(ring: &ring)
        for place in socketCount..<sockets.count where sockets[place].file >= 0 {
            clinux_close(sockets[place].file)
        }
    }

    /// Closes all at once: a shard that is stopped before leaves all of them to their owner.
    mutating func closeLeftListeners() {
        isLeaving = false
        for place in 0..<leftListenerCount { clinux_close(leftListeners[place]) }
        leftListenerCount = 0
    }

    // MARK: Sockets that come and go

    /// Takes another socket in, which the port closes when it is detached, and receives from it.
    ///
    /// - Returns: its number; nil when every place is taken, and then it is the caller's still.
    mutating func attach(_ socket: ShardSocket) throws(Errno) -> Int? {
        assert(socket.takesLarge)
        guard let place = freePlaces.take() else { return nil }
        let index = socketCount + Int(place)
        do throws(Errno) {
            try ring.setFile(index, socket.file)
        } catch {
            freePlaces.give(place)
            throw error
        }
        sockets[index] = socket
        arm(index)
        return index
    }

    /// Whether a socket can be attached now. One that was detached keeps its place for a turn or
    /// two.
    var hasPlace: Bool { freePlaces.count > 0 }

    /// Closes an attached socket once all that was queued for it is out. Nothing arrives from it
    /// any more.
    mutating func detach(_ index: Int) { closing.begin(index) }

    /// The receive of a socket that is closing has completed for the last time.
    private mutating func endLeaving(_ index: Int) {
        switch closing.stepEnded(index, isSubmitted: isSubmitted) {
        case .armAgain: disarmed.setBit(index)
        case .close: close(index)
        case .wait: break
        }
    }

    /// The next destination at which nothing listens, as ICMP reports to a socket that
    /// `reportsErrors`; nil if there are no more. The kernel wakes the receive until all have been
    /// taken.
    mutating func takeRefusal(of socket: Int) -> Endpoint? {
        var origin = clinux_origin()
        guard unsafe clinux_udp_take_refusal(sockets[socket].file, &origin) == 1 else { return nil }
        return Endpoint(address: Address(origin.peer), port: origin.port)
    }

    /// The kernel knows nothing of this socket any more.
    private mutating func close(_ index: Int) {
        do throws(Errno) {
            try ring.setFile(index, -1)
        } catch {
            assertionFailure("a registered place can be emptied")
        }
        guard index >= socketCount else {
            // A listener: where its requests are answered from is still asked.
            leftListeners[leftListenerCount] = sockets[index].file
            leftListenerCount += 1
            sockets[index].file = -1
            return
        }
        clinux_close(sockets[index].file)
        sockets[index] = ShardSocket.none
        freePlaces.give(UInt32(index - socketCount))
    }

    /// Whether the socket is on its way out.
    func isClosing(_ index: Int) -> Bool { closing.contains(index) }

    /// Closes a listener that nothing is received from.
    mutating func closeListener(_ index: Int) { close(index) }

    private mutating func finishLeaving() {
        if isSubmitted {
            while let index = closing.takeClosable() { close(index) }
        }
        // Behind everything that was queued for them.
        while let index = closing.nextUncancelled(except: disarmed) {
            guard ring.queueCancel(Tag.receive(index), userData: Tag.cancel) else { return }
            closing.didCancel(index)
        }
    }

    // MARK: A turn

    /// Hands over everything queued and waits for something to happen, or `nanoseconds` (nil:
    /// without limit).
    package mutating func enter(nanoseconds: UInt64?) throws(Errno) {
        let bound =
            isLeaving ? min(nanoseconds ?? .max, DatagramPort.leavingNanoseconds) : nanoseconds
        isSubmitted = try ring.enter(waitingFor: 1, nanoseconds: isSubmitted ? bound : 0)
        if isSubmitted { outbox.reset() }
    }

    private static let leavingNanoseconds: UInt64 = 1_000_000

    /// The same, for deadlines that mostly move away before they come: the kernel's timer is set
    /// only when no alarm is early enough, and not at each turn, which costs a twentieth of a
    /// packet.
    package mutating func enter(nanoseconds: UInt64?, now: UInt64) throws(Errno) {
        guard let nanoseconds, nanoseconds > 0, isSubmitted else {
            return try enter(nanoseconds: nanoseconds)
        }
        let tag = Tag.alarm(at: now &+ nanoseconds)
        if alarms.isLate(for: Tag.deadline(tag)) {
            guard !alarms.isFull, ring.queueAlarm(at: now &+ nanoseconds, userData: tag) else {
                return try enter(nanoseconds: nanoseconds)
            }
            alarms.push(Tag.deadline(tag))
        }
        try enter(nanoseconds: nil)
    }

    /// Copies out what has happened; `event` returns each. Bounded, so that a flood cannot starve
    /// the timers.
    package mutating func drain() -> Int { ring.drain() }

    /// Whether completions had to wait in the kernel: the queue for them is too small.
    package var hasOverflowed: Bool { ring.hasOverflowed }

    /// What happened.
    @unsafe
    package enum Event {
        /// A datagram; give its buffer back with `release`.
        case datagram(Arrival)
        /// The kernel refused the send with this tag.
        case sendFailed(tag: UInt64, errno: Errno)
        /// What the network has said to an earlier send of a socket that `reportsErrors`.
        case receiveFailed(socket: Int, errno: Errno)
        case wakeup
        case nothing
    }

    /// A datagram in the buffer that the kernel filled; gone when the buffer is given back.
    @unsafe
    package struct Arrival {
        /// The sender, the address of ours that it sent to, and the socket.
        package let flow: Flow
        package let payload: UnsafeRawBufferPointer
        /// The payload is several datagrams of this size, the last perhaps shorter; 0 when it is
        /// one.
        fileprivate let segmentByteCount: Int
        /// It was sent to a multicast or broadcast address, and every socket there has got it.
        package let isCrowd: Bool
        /// It did not fit the buffer.
        package let isTruncated: Bool
        fileprivate let buffer: UInt16
        fileprivate let isLarge: Bool

        /// Where in the payload the datagram ends that begins at `offset`.
        package func end(ofDatagramAt offset: Int) -> Int {
            let step = unsafe segmentByteCount > 0 ? segmentByteCount : max(1, payload.count)
            return unsafe min(offset + step, payload.count)
        }
    }

    /// The event at `index` of the latest drain.
    package mutating func event(_ index: Int) -> Event {
        let completion = ring.completion(index)
        switch Tag.kind(completion.userData) {
        case .receive: return unsafe arrival(completion)
        case .send, .batch:
            let errno = Errno(rawValue: -completion.result)
            return unsafe .sendFailed(tag: completion.userData, errno: errno)
        case .wakeup:
            clinux_eventfd_clear(wakeup)
            if !completion.hasMore { _ = ring.queuePoll(file: wakeup, userData: Tag.wakeup) }
            return unsafe .wakeup
        case .cancel: return unsafe .nothing
        case .alarm:
            alarms.remove(Tag.deadline(completion.userData))
            return unsafe .nothing
        case nil:
            assertionFailure("every request carries a tag")
            return unsafe .nothing
        }
    }

    private mutating func arrival(_ completion: Completion) -> Event {
        let socket = Tag.number(completion.userData)
        let isListener = sockets[socket].role == .listener && socket < socketCount
        guard !closing.contains(socket) || (isListener && completion.bufferID != nil) else {
            if let buffer = completion.bufferID {
                give(buffer, isLarge: sockets[socket].takesLarge)
            }
            if !completion.hasMore { endLeaving(socket) }
            return unsafe .nothing
        }
        if !completion.hasMore {
            if closing.contains(socket) { endLeaving(socket) } else { disarmed.setBit(socket) }
        }
        guard let buffer = completion.bufferID else {
            // ENOBUFS: the ring of buffers ran dry, which ends the request.
            let errno = Errno(rawValue: -completion.result)
            guard completion.result < 0, errno != .noBufferSpace else { return unsafe .nothing }
            return unsafe .receiveFailed(socket: socket, errno: errno)
        }
        let isLarge = sockets[socket].takesLarge
        guard let datagram = unsafe parse(buffer, completion.result, isLarge: isLarge) else {
            give(buffer, isLarge: isLarge)
            return unsafe .nothing
        }
        var origin = clinux_origin()
        let status = unsafe clinux_origin_parse(
            datagram.name.baseAddress, UInt32(datagram.name.count), datagram.control.baseAddress,
            UInt32(datagram.control.count), &origin)
        guard status == 0 else {
            give(buffer, isLarge: isLarge)
            return unsafe .nothing
        }
        let local = sockets[socket].tellsLocal ? Address(origin.local) : sockets[socket].address
        let peer = Endpoint(address: Address(origin.peer), port: origin.port)
        return unsafe .datagram(
            Arrival(
                flow: Flow(peer: peer, local: local, socket: UInt16(socket)),
                payload: datagram.payload, segmentByteCount: Int(origin.segment_bytes),
                isCrowd: origin.was_crowd, isTruncated: datagram.isTruncated, buffer: buffer,
                isLarge: isLarge))
    }

    private func parse(_ buffer: UInt16, _ result: Int32, isLarge: Bool) -> ReceivedDatagram? {
        guard isLarge else {
            return unsafe buffers.datagram(buffer, result: result, header: receiveHeader)
        }
        return unsafe largeBuffers?.datagram(buffer, result: result, header: receiveHeader)
    }

    /// Gives the datagram's buffer back; nothing of it may be looked at afterwards.
    @unsafe
    package mutating func release(_ arrival: Arrival) {
        unsafe give(arrival.buffer, isLarge: arrival.isLarge)
    }

    private mutating func give(_ buffer: UInt16, isLarge: Bool) {
        if isLarge { largeBuffers?.give(buffer) } else { buffers.give(buffer) }
    }

    /// Shows the kernel every buffer that was given back, in one store, and arms what had run out
    /// of them.
    ///
    /// - Returns: how many receives that was.
    @discardableResult
    package mutating func finishTurn() -> Int {
        var rearmCount = 0
        buffers.publish()
        largeBuffers?.publish()
        for word in 0..<disarmed.count where disarmed[word] != 0 {
            var bits = disarmed[word]
            disarmed[word] = 0
            while bits != 0 {
                arm(word * 64 + bits.trailingZeroBitCount)
                rearmCount += 1
                bits &= bits - 1
            }
        }
        if freePlaces.capacity > 0 || isLeaving { finishLeaving() }
        return rearmCount
    }

    private mutating func arm(_ socket: Int) {
        let header = unsafe UnsafeMutableRawPointer(receiveHeader)
        let isQueued = unsafe ring.queueReceive(
            file: socket, group: sockets[socket].takesLarge ? 1 : 0, header: header,
            userData: Tag.receive(socket))
        // No SQE free: the next turn tries again.
        if !isQueued { disarmed.setBit(socket) }
    }
}
