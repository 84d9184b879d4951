// Version 2 of the tumor classifier: gradient boosted trees, read from the version's resources.

public import ModelPlugin

struct TumorClassifier: Model {
    static let inputs = Forest.features.enumerated().map { position, name in
        Input<Double>(position, name, schema: #"{"minimum": 0, "maximum": 1000000}"#)
    }

    static let description = ModelDescription(
        inputs: inputs.map(\.declaration),
        output: .classifier(["benign", "malignant"], probability: "probability").schema(
            #"""
            {"type": "object", "required": ["diagnosis", "probability"], "properties":
            {"diagnosis": {"enum": ["benign", "malignant"]},
            "probability": {"type": "number", "minimum": 0, "maximum": 1}}}
            """#
        ),
        doc: "Malignant or benign, with the probability of malignancy: gradient boosted trees.",
        examples: [
            #"""
            {"patient_id": 842302,
            "mean_radius": 17.99, "mean_texture": 10.38, "mean_perimeter": 122.8,
            "mean_area": 1001.0, "mean_smoothness": 0.1184, "mean_compactness": 0.2776,
            "mean_concavity": 0.3001, "mean_concave_points": 0.1471,
            "mean_symmetry": 0.2419, "mean_fractal_dimension": 0.07871,
            "radius_error": 1.095, "texture_error": 0.9053, "perimeter_error": 8.589,
            "area_error": 153.4, "smoothness_error": 0.006399, "compactness_error": 0.04904,
            "concavity_error": 0.05373, "concave_points_error": 0.01587,
            "symmetry_error": 0.03003, "fractal_dimension_error": 0.006193,
            "worst_radius": 25.38, "worst_texture": 17.33, "worst_perimeter": 184.6,
            "worst_area": 2019.0, "worst_smoothness": 0.1622, "worst_compactness": 0.6656,
            "worst_concavity": 0.7119, "worst_concave_points": 0.2654,
            "worst_symmetry": 0.4601, "worst_fractal_dimension": 0.1189}
            """#
        ]
    )

    private let forest: Forest

    init(_ context: ModelContext) throws {
        forest = try Forest(resource: "trees.json", of: context)
    }

    func predict(_ call: borrowing ModelCall, into result: inout ModelResult) throws {
        // scikit-learn's trees see features rounded to single precision.
        var row: [30 of Float] = .init(repeating: 0)
        for position in row.indices {
            let measurement = call[Self.inputs[position]]
            guard measurement >= 0, measurement <= 1e6 else {
                throw ModelError.invalidInput("a measurement is not between 0 and 1000000")
            }
            row[position] = Float(measurement)
        }
        let probability = Logistic.probability(logOdds: forest.logOdds(of: row))
        result.write(jsonBytes: 96) { json in
            json.object { json in
                json.name("diagnosis")
                json.string(probability >= 0.5 ? "malignant" : "benign")
                json.name("probability")
                json.number(probability)
            }
        }
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { TumorClassifier.plugin(for: host) }
