// Gradient boosted trees: read from JSON, checked once, walked for every row.
//
// What is wrong with the file is found here and refuses the version. A tree that has passed is one
// that a walk cannot leave and cannot turn in circles in: every child lies behind its parent and
// has only that one.

import JSON
import ModelPlugin

/// Trees whose values add up to the log odds of malignancy.
struct Forest: Sendable {
    /// One node, as flat as the walk likes it.
    private struct Node {
        /// Which feature is compared; below 0 for a leaf.
        let feature: Int
        /// The threshold, or the value of a leaf.
        let number: Double
        /// Where rows go whose feature is at most the threshold.
        let left: Int
        /// Where the others go.
        let right: Int
    }

    /// The measurements, in the order of a row.
    static let features: [String] = {
        let measurements = [
            "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity",
            "concave_points", "symmetry", "fractal_dimension",
        ]
        return measurements.map { "mean_\($0)" } + measurements.map { "\($0)_error" }
            + measurements.map { "worst_\($0)" }
    }()

    private static let format = "gradient boosted trees 1"
    private static let treesMaximum = 10_000
    private static let nodesMaximum = 10_000

    /// What every row begins with.
    private let initial: Double
    private let roots: [Int]
    private let nodes: [Node]

    /// Reads and checks a resource; the format is in `Plugins/tumor_classifier/README.md`.
    init(resource name: String, of context: ModelContext) throws {
        let bytes = try context.resource(named: name, bytesMaximum: 16 << 20)
        do {
            self = try Forest(JSONValue(parsing: bytes))
        } catch {
            throw ModelError.failed("the resource \"\(name)\" is damaged: \(error)")
        }
    }

    private init(_ json: JSONValue) throws {
        guard json["format"]?.string == Self.format else {
            throw ModelError.failed("\"format\" is not \"\(Self.format)\"")
        }
        guard json["features"]?.array?.map(\.string) == Self.features else {
            throw ModelError.failed("\"features\" are not the model's, in its order")
        }
        guard let initial = Self.number(json["initial"]) else {
            throw ModelError.failed("\"initial\" is not a number")
        }
        guard let trees = json["trees"]?.array, (1...Self.treesMaximum).contains(trees.count)
        else {
            throw ModelError.failed("\"trees\" is not a list of 1 to \(Self.treesMaximum)")
        }
        self.initial = initial
        var roots: [Int] = []
        var nodes: [Node] = []
        for (index, tree) in trees.enumerated() {
            roots.append(nodes.count)
            do {
                try Self.append(tree, to: &nodes)
            } catch {
                throw ModelError.failed("tree \(index): \(error)")
            }
        }
        self.roots = roots
        self.nodes = nodes
    }

    /// Appends the nodes of one tree, their children as places among all nodes.
    private static func append(_ tree: JSONValue, to nodes: inout [Node]) throws {
        guard let list = tree.array, (1...nodesMaximum).contains(list.count) else {
            throw ModelError.failed("it is not a list of 1 to \(nodesMaximum) nodes")
        }
        let root = nodes.count
        var hasParent = [Bool](repeating: false, count: list.count)
        hasParent[0] = true
        for (place, node) in list.enumerated() {
            guard hasParent[place] else {
                throw ModelError.failed("node \(place) is no other node's child")
            }
            let parts = node.array ?? []
            if parts.count == 1, let value = number(parts[0]) {
                nodes.append(Node(feature: -1, number: value, left: root, right: root))
                continue
            }
            guard parts.count == 4, let threshold = number(parts[1]) else {
                throw ModelError.failed(
                    "node \(place) is neither [value] nor [feature, threshold, left, right]"
                )
            }
            guard let feature = index(parts[0], in: features.indices) else {
                throw ModelError.failed("node \(place) compares a feature that there is not")
            }
            // Every node up to this one has its parent, so one without lies behind it.
            guard let left = index(parts[2], in: list.indices), !hasParent[left],
                let right = index(parts[3], in: list.indices), !hasParent[right], left != right
            else {
                throw ModelError.failed(
                    "node \(place) does not have two children of its own behind it"
                )
            }
            hasParent[left] = true
            hasParent[right] = true
            nodes.append(
                Node(feature: feature, number: threshold, left: root + left, right: root + right)
            )
        }
    }

    /// A finite number, or nil.
    private static func number(_ value: JSONValue?) -> Double? {
        guard case .number(let text) = value, let number = Double(text), number.isFinite else {
            return nil
        }
        return number
    }

    /// An integer of a range, or nil.
    private static func index(_ value: JSONValue, in range: Range<Int>) -> Int? {
        guard let number = value.unsigned, let index = Int(exactly: number) else { return nil }
        return range.contains(index) ? index : nil
    }

    /// The log odds of malignancy of a row, added up in the order of the trees. Allocates nothing.
    func logOdds(of row: [30 of Float]) -> Double {
        var sum = initial
        for tree in roots.indices {  // iterating the array itself allocates in a debug build
            var place = roots[tree]
            while nodes[place].feature >= 0 {
                let node = nodes[place]
                place = Double(row[node.feature]) <= node.number ? node.left : node.right
            }
            sum += nodes[place].number
        }
        return sum
    }
}
