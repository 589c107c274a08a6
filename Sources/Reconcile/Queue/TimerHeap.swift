/// Times with what is due at them, the earliest first: a binary heap. Pure.
struct TimerHeap<Value: Sendable>: Sendable {
    struct Timer: Sendable {
        var due: Duration
        /// Tells timers of one value apart, and orders timers of one time.
        var ticket: UInt64
        var value: Value
    }

    private var timers: [Timer] = []

    var count: Int { timers.count }
    var first: Timer? { timers.first }

    mutating func push(_ timer: Timer) {
        timers.append(timer)
        var child = timers.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard Self.precedes(timers[child], timers[parent]) else { return }
            timers.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        timers.swapAt(0, timers.count - 1)
        timers.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < timers.count {
                if Self.precedes(timers[child], timers[least]) { least = child }
            }
            guard least != parent else { return }
            timers.swapAt(parent, least)
            parent = least
        }
    }

    /// Leaves out what no longer counts.
    mutating func keep(_ isNeeded: (Timer) -> Bool) {
        // A sorted array is a heap.
        timers = timers.filter(isNeeded).sorted(by: Self.precedes)
    }

    private static func precedes(_ left: Timer, _ right: Timer) -> Bool {
        (left.due, left.ticket) < (right.due, right.ticket)
    }
}
