#if canImport(Glibc)
    import Glibc
#endif

extension AzureSimulator {
    /// How long one kind of work takes.
    public enum Latency: Sendable, Equatable {
        case constant(Duration)
        /// Any time of the range alike.
        case uniform(from: Duration, to: Duration)
        /// Log-normal, as answer times of services are: half take less than `median`, one in a hundred more than
        /// `ninetyNinth`, which is not below `median`.
        case skewed(median: Duration, ninetyNinth: Duration)

        /// One value, 0 or more.
        func sample(_ generator: inout ARMIdentifiers) -> Duration {
            switch self {
            case .constant(let value): return value
            case .uniform(let low, let high):
                return low + (high - low) * Double.random(in: 0...1, using: &generator)
            case .skewed(let median, let ninetyNinth):
                guard median > .zero, ninetyNinth > median else { return median }
                // 2.326 is the 99th percentile of the standard normal distribution.
                let sigma = log(ninetyNinth / median) / 2.326
                // Box and Muller, 1958. The first number is never 0.
                let radius = sqrt(-2 * log(1 - Double.random(in: 0..<1, using: &generator)))
                let normal = radius * cos(2 * Double.pi * Double.random(in: 0..<1, using: &generator))
                return median * exp(sigma * normal)
            }
        }
    }

    /// How long things take, by kind of work.
    public struct Latencies: Sendable {
        /// Every GET, and the first answer of every other call.
        public var answer: Latency
        /// From a load balancer PUT or DELETE to the end of its operation.
        public var loadBalancer: Latency
        public var publicIPPrefix: Latency
        public var publicIPAddress: Latency
        /// PUT of a network interface that belongs to a machine. Others are done when they are answered.
        public var networkInterface: Latency
        public var scaleSet: Latency
        /// PUT, making and removal of an instance or a machine.
        public var instance: Latency

        public init(
            answer: Latency = .constant(.milliseconds(80)), loadBalancer: Latency = .constant(.seconds(3)),
            publicIPPrefix: Latency = .constant(.seconds(4)), publicIPAddress: Latency = .constant(.seconds(3)),
            networkInterface: Latency = .constant(.seconds(5)), scaleSet: Latency = .constant(.seconds(3)),
            instance: Latency = .constant(.seconds(12))
        ) {
            self.answer = answer
            self.loadBalancer = loadBalancer
            self.publicIPPrefix = publicIPPrefix
            self.publicIPAddress = publicIPAddress
            self.networkInterface = networkInterface
            self.scaleSet = scaleSet
            self.instance = instance
        }

        /// Constant times of a quiet region, for benchmarks: GET 80 ms, load balancer PUT 3 s, instance PUT 12 s, prefix
        /// PUT 4 s. Users of the public cloud report such values; they are no promise of Azure's.
        public static let reference = Latencies()

        /// The same medians with a long tail.
        public static let busy = Latencies(
            answer: .skewed(median: .milliseconds(80), ninetyNinth: .milliseconds(900)),
            loadBalancer: .skewed(median: .seconds(3), ninetyNinth: .seconds(20)),
            publicIPPrefix: .skewed(median: .seconds(4), ninetyNinth: .seconds(25)),
            publicIPAddress: .skewed(median: .seconds(3), ninetyNinth: .seconds(20)),
            networkInterface: .skewed(median: .seconds(5), ninetyNinth: .seconds(30)),
            scaleSet: .skewed(median: .seconds(3), ninetyNinth: .seconds(30)),
            instance: .skewed(median: .seconds(12), ninetyNinth: .seconds(90)))

        /// Every operation takes `operation`, every answer comes at once.
        public static func uniform(_ operation: Duration) -> Latencies {
            let all = Latency.constant(operation)
            return Latencies(
                answer: .constant(.zero), loadBalancer: all, publicIPPrefix: all, publicIPAddress: all,
                networkInterface: all, scaleSet: all, instance: all)
        }
    }
}
