// Moments in order: a binary heap. A client has at most one item in it, however often its deadline
// moves; when the item comes up, the loop looks whether the deadline has moved on and queues it
// again.

struct Deadlines {
    struct Item {
        /// Monotonic nanoseconds.
        let time: UInt64
        /// Whose it is.
        let index: Int
    }

    private var heap: [Item] = []

    /// The earliest item.
    var first: Item? { heap.first }

    mutating func insert(_ item: Item) {
        heap.append(item)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].time < heap[parent].time else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].time < heap[least].time {
                least = child
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
