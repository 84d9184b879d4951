import Endpoints
import Testing
import YAML

struct EndpointFileTests {
    private func read(_ text: String, name: String = "pricing_optimizer") -> EndpointFile.Outcome {
        EndpointFile.read(name: name, text: Array(text.utf8))
    }

    private func errors(_ text: String, name: String = "pricing_optimizer") -> [String] {
        guard case .errors(let errors) = read(text, name: name) else { return [] }
        return errors.map {
            $0.rendered(file: "endpoints/\(name).yaml", text: Array(text.utf8))
        }
    }

    private let example = """
        backends:
          control:
            deployment:
              branch: main
              name: pricing_model_v1
              version: latest
            weight: 1
          experiment:
            deployment:
              name: pricing_model_v2
              version: 3
            weight: 3
          flat:
            value: {score: 42, exact: 1.10, list: [a, null, true]}
            weight: 0
        experimentConfig:
          experimentId: foo
          subjectKey: user_id
        service: pricing
        schemaVersion: 1
        """

    @Test func `every part of an endpoint is read`() throws {
        guard case .endpoint(let endpoint) = read(example) else {
            Issue.record("\(errors(example))")
            return
        }
        #expect(endpoint.splits.map(\.name) == ["control", "experiment", "flat"])
        #expect(endpoint.splits.map(\.weight) == [1, 3, 0])
        #expect(
            endpoint.splits[1].backend
                == .deployment(
                    DeploymentReference(
                        branch: "main",
                        name: "pricing_model_v2",
                        version: .number(3)
                    )
                )
        )
        #expect(
            endpoint.splits[2].backend
                == .value(#"{"score":42,"exact":1.10,"list":["a",null,true]}"#)
        )
        #expect(endpoint.experiment == Experiment(id: "foo", subjectKey: .member("user_id")))
        #expect(endpoint.service == "pricing")
    }

    @Test(arguments: [
        ("user_id", SubjectKey.member("user_id")), ("0", .argument(0)), ("2", .argument(2)),
        ("\"0\"", .member("0")), ("'a b'", .member("a b")),
    ])
    func `a subject key is a member or, as a plain integer, a position`(
        text: String,
        key: SubjectKey
    ) throws {
        let file =
            "schemaVersion: 1\nbackends: {a: {value: 1}}\n"
            + "experimentConfig: {subjectKey: \(text)}\n"
        guard case .endpoint(let endpoint) = read(file) else {
            Issue.record("\(errors(file))")
            return
        }
        #expect(endpoint.experiment == Experiment(id: "pricing_optimizer", subjectKey: key))
    }

    @Test func `an unknown key is shown with its place and the one that was meant`() {
        let text = "schemaVersion: 1\nbackends:\n  control:\n    value: 1\n    wieght: 1\n"
        #expect(
            errors(text) == [
                """
                endpoints/pricing_optimizer.yaml:5:5: error: unknown key 'wieght' in split 'control'
                        wieght: 1
                        ^
                    did you mean 'weight'? split 'control' has: deployment, value, weight
                """
            ]
        )
    }

    @Test func `all errors of a file are listed in the order of the text`() {
        let text = """
            schemaVersion: 2
            backends:
              -bad: {value: 1}
              a: {value: 1, weight: -1}
              b: {deployment: {name: x, version: 0}}
              c: {}
              d: {value: 1, deployment: {name: x, version: 1}}
            mirrors: {}
            """
        let marks = errors(text).map { $0.split(separator: " ").first.map(String.init) ?? "" }
        #expect(
            marks
                == [1, 3, 4, 5, 6, 7, 8].enumerated().map { index, line in
                    let column = [16, 3, 25, 38, 3, 14, 1][index]
                    return "endpoints/pricing_optimizer.yaml:\(line):\(column):"
                }
        )
    }

    @Test(arguments: [
        ("", "the file is empty"), ("[]", "an endpoint's file is a mapping; found a list"),
        ("schemaVersion: 1\n", "'backends' is missing"),
        ("backends: {a: {value: 1}}\n", "'schemaVersion'"),
        ("schemaVersion: 1\nbackends: {}\n", "'backends' is empty; wanted a mapping of splits"),
        (
            "schemaVersion: 1\nbackends: {a: {value: 1, weight: 0}}\n",
            "every split has the weight 0"
        ),
        ("schemaVersion: 1\nbackends: {a: {value: .inf}}\n", "a number that JSON cannot write"),
        ("schemaVersion: 1\nbackends: {a: {value: 1, weight: .nan}}\n", "the weight of split 'a'"),
        ("schemaVersion: 1\nbackends: {a: {value: 1, weight: '1'}}\n", "the weight of split 'a'"),
        (
            "schemaVersion: 1\nbackends: {a: {deployment: {name: x, version: null}}}\n",
            "nothing is no version"
        ),
        (
            "schemaVersion: 1\nbackends: {a: {value: 1}}\nservice: true\n",
            "'service' is 'true'; wanted a name"
        ),
        (
            "schemaVersion: 1\nbackends: {a: {value: 1, weight: 1e-200}}\n",
            "wanted 0 or a number from 1e-100 on"
        ),
        (
            "schemaVersion: 1\nbackends: {a: {value: 1, weight: 0.\(String(repeating: "3", count: 50))}}\n",
            "with at most 40 characters"
        ),
        ("schemaVersion: 1\nbackends: {a: {value: 1}}\nmirrors: {}\n", "'mirrors' is reserved"),
        (
            "schemaVersion: 1\nbackends: {alpha: {value: 1}}\nfallback: alpah\n",
            "did you mean 'alpha'? its splits are: alpha"
        ),
        (
            "schemaVersion: 1\nbackends: {a: {value: 1}}\nfallback: [a]\n",
            "'fallback' is a list; wanted the name of a split"
        ),
        ("schemaVersion: 1\nbackends: {a: {value: 1}}\nexperimentConfig: {}\n", "no 'subjectKey'"),
        (
            "schemaVersion: 1\nbackends: {a: {value: 1}}\nexperimentConfig: {subjectKey: 1.5}\n",
            "'subjectKey' is '1.5'"
        ),
        (
            "schemaVersion: 1\nbackends: {a: {deployment: {name: ../x, version: 1}}}\n",
            "'name' is '../x'; wanted a name"
        ),
        (
            "schemaVersion: 1\nbackends: {a: {deployment: {name: x, branch: a//b, version: 1}}}\n",
            "is no branch"
        ),
    ])
    func `what is missing or wrong is said`(text: String, problem: String) {
        let found = errors(text)
        #expect(found.count == 1 && found[0].contains(problem), "\(found)")
    }

    @Test func `members of a static value are told apart by their bytes`() {
        let text = "schemaVersion: 1\nbackends: {a: {value: {\"\u{e9}\": 1, \"e\u{301}\": 2}}}\n"
        #expect(errors(text).isEmpty)
    }

    @Test func `a file name that is no endpoint name is an error`() {
        let text = "schemaVersion: 1\nbackends: {a: {value: 1}}\n"
        #expect(errors(text, name: "Bad-Name").first?.contains("no name for an endpoint") == true)
    }

    @Test func `more than 64 splits are refused`() {
        let splits = { (n: Int) in (0..<n).map { "  s\($0): {value: 1}\n" }.joined() }
        #expect(errors("schemaVersion: 1\nbackends:\n\(splits(64))").isEmpty)
        #expect(errors("schemaVersion: 1\nbackends:\n\(splits(65))").count == 1)
    }
}

struct NamesTests {
    @Test(arguments: ["a", "A9_", "_x", "model.v1", "a-b", String(repeating: "a", count: 64)])
    func `a name is accepted`(name: String) {
        #expect(Names.isName(name))
    }

    @Test(arguments: [
        "", ".", "..", "-a", ".a", "a/b", "a b", "a\u{0}", "é", "a%2e",
        String(repeating: "a", count: 65),
    ])
    func `what could lead out of a folder is no name`(name: String) {
        #expect(!Names.isName(name))
    }

    @Test func `versions are latest, a number or an alias`() {
        #expect(VersionReference("latest") == .latest)
        #expect(VersionReference("12") == .number(12))
        #expect(VersionReference("v1.2") == .alias("v1.2"))
        for text in ["0", "-1", "012", "", "a/b", "99999999999999999999"] {
            #expect(VersionReference(text) == nil, "\(text)")
        }
    }

    @Test func `branches are names joined by slashes`() {
        #expect(Names.isBranch("main") && Names.isBranch("team/alice/x.1"))
        for text in ["", "/", "a/", "/a", "a//b", "a/../b", "a~b"] {
            #expect(!Names.isBranch(text))
        }
        #expect(Names.folder(ofBranch: "a/b") == "a~b")
        #expect(Names.branch(ofFolder: "a~b") == "a/b")
    }
}
