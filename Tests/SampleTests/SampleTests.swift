import Endpoints
import JSON
import Platform
import TestSupport
import Testing

/// The fraud models and the echo against their documents, and every sample against its own.
struct SampleTests {
    // MARK: Fraud detection

    /// The two payments that `Plugins/fraud_detection/README.md` works through.
    private static let atNight = """
        {"transaction_id": "t-1", "customer_id": 123, "amount": 1500,
         "merchant_category": "electronics", "hour": 3, "is_foreign": true,
         "minutes_since_last": 2}
        """
    private static let groceries = """
        {"amount": 125, "merchant_category": "groceries", "hour": 17, "is_foreign": false}
        """

    @Test(arguments: [
        // 0.05 + 0.30 · 1500/2000 + 0.10 + 0.20 + 0.25
        ("fraud_detection_v1", atNight, true, 0.825),
        // 0.05 + 0.30 · 125/625
        ("fraud_detection_v1", groceries, false, 0.11),
        // Odds 0.02 · 16 · 2 · 3 · 4 · 4
        ("fraud_detection_v2", atNight, true, 30.72 / 31.72),
        // Odds 0.02 · 2.25
        ("fraud_detection_v2", groceries, false, 0.045 / 1.045),
    ])
    func `a payment gets the score that the README works out`(
        plugin: String,
        payment: String,
        isFraud: Bool,
        score: Double
    ) throws {
        let answer = try Sample(plugin).ask(payment)
        let start = "{\"fraud\":\(isFraud),\"score\":"
        try #require(answer.hasPrefix(start) && answer.hasSuffix("}"), "\(answer)")
        let found = try #require(Double(answer.dropFirst(start.count).dropLast()))
        #expect(abs(found - score) < 1e-12, "\(answer)")
    }

    @Test(arguments: ["fraud_detection_v1", "fraud_detection_v2"])
    func `every payment gets a score from 0 to 1`(plugin: String) throws {
        let sample = try Sample(plugin)
        var scores: Set<String> = []
        for amount in ["0", "0.01", "99.5", "1e6", "1.7976931348623157e308"] {
            for category in ["", "gambling", "jewelry", "electronics", "travel", "caf\\u00e9"] {
                for hour in ["0", "5.99", "6", "23.5"] {
                    for isForeign in [true, false] {
                        let answer = try sample.ask(
                            """
                            {"amount":\(amount),"merchant_category":"\(category)",\
                            "hour":\(hour),"is_foreign":\(isForeign),"minutes_since_last":4.5}
                            """
                        )
                        let text = answer.drop { $0 != "," }.dropFirst(9).dropLast()
                        let score = try #require(Double(text), "\(answer)")
                        #expect(score >= 0 && score <= 1, "\(answer)")
                        #expect(answer.hasPrefix("{\"fraud\":\(score >= 0.5),"), "\(answer)")
                        scores.insert(String(text))
                    }
                }
            }
        }
        #expect(scores.count > 50)
    }

    @Test(arguments: ["fraud_detection_v1", "fraud_detection_v2"])
    func `a payment that cannot be is refused`(plugin: String) throws {
        let sample = try Sample(plugin)
        func ask(_ amount: String, _ hour: String) throws -> String {
            try sample.ask(
                """
                {"amount":\(amount),"merchant_category":"travel","hour":\(hour),"is_foreign":true}
                """
            )
        }
        #expect(try ask("-0.01", "1") == "invalidInput: amount is below 0")
        #expect(try ask("1", "24") == "invalidInput: hour is not between 0 and 23")
        #expect(try ask("1", "-1") == "invalidInput: hour is not between 0 and 23")
    }

    @Test(arguments: ["fraud_detection_v1", "fraud_detection_v2"])
    func `scoring a payment allocates nothing`(plugin: String) throws {
        let count = try Sample(plugin).allocations(Self.atNight)
        #expect(count == 0 || count == nil)
    }

    // MARK: Echo

    @Test(arguments: [
        ("[]", "[]"),
        ("[1.50]", "[1.50]"),
        (#"{ "a" : [ 1, 2.0e+00 ] }"#, #"[{ "a" : [ 1, 2.0e+00 ] }]"#),
        (
            #"[ 1 , "tw\u006f" , null ,true, [ ], {"b": -0} ]"#,
            #"[1,"tw\u006f",null,true,[ ],{"b": -0}]"#
        ),
    ])
    func `the echo gives its arguments back to the letter`(data: String, answer: String) throws {
        #expect(try Sample("echo").ask(data) == answer)
    }

    // MARK: All of them

    @Test(arguments: [
        "echo", "fraud_detection_v1", "fraud_detection_v2", "pricing_model_v1", "pricing_model_v2",
        "tumor_classifier_v1", "tumor_classifier_v2",
    ])
    func `what a sample shows as an example can be asked`(plugin: String) throws {
        let sample = try Sample(plugin, resources: Sample.treesFolder)
        #expect(!sample.description.examples.isEmpty)
        #expect(sample.description.threading == .concurrent)
        #expect(sample.description.execution == .inline)
        for example in sample.description.examples {
            let answer = try sample.ask(example.text)
            // A sentence about a failure is no JSON.
            #expect(throws: Never.self, "\(answer)") { try JSONValue(parsing: Array(answer.utf8)) }
        }
    }

    private func endpoint(_ name: String) throws -> Endpoint? {
        let path = "\(Built.repository)/endpoints/\(name).yaml"
        let text = try File.read(path, limit: 1 << 20)
        guard case .endpoint(let endpoint) = EndpointFile.read(name: name, text: text) else {
            return nil
        }
        return endpoint
    }

    private func split(
        _ name: String,
        _ weight: Double,
        _ weightText: String,
        _ deployment: String,
        _ version: VersionReference
    ) -> Split {
        Split(
            name: name,
            weight: weight,
            weightText: weightText,
            backend: .deployment(
                DeploymentReference(branch: "main", name: deployment, version: version)
            )
        )
    }

    @Test func `the samples' endpoints say what they are meant to`() throws {
        let screening = try #require(try endpoint("tumor_screening"))
        #expect(screening.service == "screening")
        #expect(
            screening.experiment == Experiment(id: "tumor_gbt", subjectKey: .member("patient_id"))
        )
        #expect(
            screening.splits == [
                split("candidate", 10, "10", "tumor_classifier", .number(2)),
                split("stable", 90, "90", "tumor_classifier", .number(1)),
            ]
        )
        let fraud = try #require(try endpoint("predict_fraud"))
        #expect(fraud.service == "fraud_detection")
        #expect(fraud.experiment == nil)
        #expect(
            fraud.splits == [
                split("auto_deploy_api", 0.7, "0.7", "fraud_detection", .alias("auto_deploy_api")),
                split("v1", 0.3, "0.3", "fraud_detection", .alias("v1")),
            ]
        )
    }
}
