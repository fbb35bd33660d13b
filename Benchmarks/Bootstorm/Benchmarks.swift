import Benchmark
import BenchmarkWorkloads

/// One benchmark a workload: a thousand times what it does, as often as fits a second.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .throughput], warmupIterations: 20, scalingFactor: .kilo,
        maxDuration: .seconds(1), maxIterations: 2_000)
    for workload in workloads {
        Benchmark(workload.name) { (benchmark, run: @escaping (Int) -> UInt64) in
            benchmark.startMeasurement()
            let digest = run(benchmark.scaledIterations.count)
            benchmark.stopMeasurement()
            blackHole(digest)
        } setup: {
            workload.prepare()
        }
    }
}
