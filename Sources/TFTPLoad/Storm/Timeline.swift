/// How far a storm was at points of time: ten a second, and half as many each time that there are
/// too many.
struct Timeline {
    private(set) var moments: [StormSample] = []
    private var intervalSeconds = 0.1

    static let momentsMax = 1_200

    /// When the next moment is to be noted.
    var nextSeconds: Double { (moments.last?.seconds ?? 0) + intervalSeconds }

    mutating func note(_ progress: StormSample) {
        moments.append(progress)
        guard moments.count == Timeline.momentsMax else { return }
        moments = moments.indices.filter { !$0.isMultiple(of: 2) }.map { moments[$0] }
        intervalSeconds *= 2
    }
}
