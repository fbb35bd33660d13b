import Testing

@testable import bootstorm

struct FailConditionTests {
    @Test(arguments: [
        ("p99>20ms", FailCondition.Metric.p99, true, 0.02), ("failed>0", .failed, true, 0),
        ("mb/s<100", .megabytesPerSecond, false, 100), ("P99.9 > 1.5s", .p999, true, 1.5),
        ("turnaround-p99>300us", .turnaroundP99, true, 0.0003), ("silence>2s", .silence, true, 2),
    ])
    func whatIsRead(text: String, metric: FailCondition.Metric, above: Bool, limit: Double) throws {
        let condition = try #require(FailCondition(argument: text))
        #expect(condition.metric == metric)
        #expect(condition.failsAbove == above)
        #expect(abs(condition.limit - limit) < 1e-12)
    }

    @Test(arguments: ["p99", "p99>20", "p42>1ms", "failed>x", ">1", "failed>-1", "p99>infs", ""])
    func whatIsRefused(text: String) {
        #expect(FailCondition(argument: text) == nil)
    }
}
