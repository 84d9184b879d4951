// Answers of a real host, for the document at `/openapi.json`.

extension OpenAPI {
    static let endpointExample = #"""
        {
         "endpointName": "pricing_optimizer",
         "service": "pricing_optimizer",
         "ready": true,
         "experimentId": "foo",
         "subjectKey": "user_id",
         "liveWeights": {
          "author": "user 0",
          "since": "2026-11-21T18:28:11.278802Z",
          "weights": {"control": 9, "experiment": 1}},
         "splits": [
          {
           "backendName": "control",
           "weight": 9,
           "fileWeight": 1,
           "share": 0.9,
           "deployment": {"branch": "main", "name": "pricing_model_v1", "version": 1,
             "alias": "latest"},
           "requests": 0,
           "errors": 0},
          {
           "backendName": "experiment",
           "weight": 1,
           "fileWeight": 3,
           "share": 0.1,
           "deployment": {"branch": "main", "name": "pricing_model_v2", "version": 2,
             "alias": "latest"},
           "requests": 1,
           "errors": 0}]}
        """#

    static let deploymentExample = #"""
        {
         "branch": "main",
         "name": "pricing_model_v2",
         "version": 2,
         "state": "ready",
         "aliases": ["latest"],
         "sha256": "d856cdb9ecb9fd237e04c5a57c529a42b4ab680919f7820b929c53ff15227e89",
         "execution": {
          "mode": "inline",
          "runsOn": "loops",
          "threads": 2,
          "queue": 128,
          "waiting": 0,
          "refused": 0}}
        """#

    static let quarantineExample = #"""
        {
         "deployment": "main/pricing_model_v2",
         "version": 2,
         "build": "d856cdb9ecb9fd237e04c5a57c529a42b4ab680919f7820b929c53ff15227e89",
         "since": "2026-11-21T21:30:07.380236Z",
         "reason": "it ended 3 workers within 60 s; the last time it was ended by signal 11 \#
        (Segmentation fault) in predict()"}
        """#

    static let crashExample = #"""
        {
         "time": "2026-11-21T21:30:07.239573Z",
         "process": 29339,
         "cause": "was ended by signal 11 (Segmentation fault)",
         "deployment": "main/pricing_model_v2",
         "version": 2,
         "function": "predict()",
         "requestId": "f2911e465697-1-1",
         "report": "state/crashes/2026-11-21T213007.239573Z-29339.json"}
        """#

    static let statusExample = #"""
        {
         "version": "0.1.0",
         "processId": 28797,
         "startedAt": "2026-11-21T18:28:09.252893Z",
         "uptimeSeconds": 3,
         "ready": true,
         "reasons": [],
         "configRevision": 4,
         "committedAt": "2026-11-21T18:28:12.439602Z",
         "committedBy": "rollback to revision 2 by user 0",
         "rollbackOf": 2,
         "listeners": ["127.0.0.1:8080"],
         "loops": 2,
         "connections": 0,
         "pluginImages": 2,
         "requestLog": {"failing": false, "recordsLost": 0, "waitingBytes": 0},
         "quarantine": [],
         "crashes": [],
         "endpoints": [
          {
           "endpointName": "greeting",
           "service": "greeting",
           "ready": true,
           "splits": [
            {
             "backendName": "hello",
             "weight": 1,
             "fileWeight": 1,
             "share": 1.0,
             "value": "hello",
             "requests": 0,
             "errors": 0}]}],
         "deployments": [
          {
           "branch": "main",
           "name": "pricing_model_v2",
           "version": 2,
           "state": "ready",
           "aliases": ["latest"],
           "sha256": "d856cdb9ecb9fd237e04c5a57c529a42b4ab680919f7820b929c53ff15227e89",
           "execution": {
            "mode": "inline",
            "runsOn": "loops",
            "threads": 2,
            "queue": 128,
            "waiting": 0,
            "refused": 0}}]}
        """#

    static let revisionsExample = #"""
        [
         {
          "configRevision": 2,
          "current": true,
          "created": "2026-11-21T18:28:11.279041Z",
          "author": "weights by user 0",
          "changes": [
           "endpoint pricing_optimizer: split control: weight 1 → 9 (25.0 % → 90.0 %)",
           "endpoint pricing_optimizer: 65.0 % of subjects get another split"]},
         {
          "configRevision": 1,
          "current": false,
          "created": "2026-11-21T18:28:09.957727Z",
          "author": "start by user 0",
          "changes": ["endpoint greeting is new: hello 1"]}]
        """#

    static let revisionExample = #"""
        {
         "schemaVersion": 1,
         "revision": 2,
         "created": "2026-11-21T18:28:11.279041Z",
         "author": "weights by user 0",
         "changes": ["endpoint pricing_optimizer: 65.0 % of subjects get another split"],
         "endpoints": [
          {
           "name": "greeting",
           "text": "backends: {hello: {value: \"hello\"}}\nschemaVersion: 1\n"}],
         "versions": [
          {
           "branch": "main",
           "name": "pricing_model_v1",
           "reference": "latest",
           "version": 1,
           "sha256": "d856cdb9ecb9fd237e04c5a57c529a42b4ab680919f7820b929c53ff15227e89"}],
         "liveWeights": {
          "pricing_optimizer": {
           "author": "user 0",
           "since": "2026-11-21T18:28:11.278802Z",
           "weights": {"control": 9, "experiment": 1}}},
         "files": "8e41b20bb19fea434e7c31c2167ca8c611175598840f907aa1aeac93386e250d"}
        """#

    static let commitExample = #"""
        {
         "outcome": "committed",
         "configRevision": 2,
         "previousRevision": 1,
         "changes": [
          {
           "change": "weightChanged",
           "text": "endpoint pricing_optimizer: split control: weight 1 → 9 (25.0 % → 90.0 %)",
           "endpointName": "pricing_optimizer",
           "backendName": "control",
           "from": 1,
           "to": 9},
          {
           "change": "subjectsMoved",
           "text": "endpoint pricing_optimizer: 65.0 % of subjects get another split",
           "endpointName": "pricing_optimizer",
           "fraction": 0.65}]}
        """#

    static let planExample = #"""
        {
         "configRevision": 2,
         "changes": [
          {
           "change": "endpointRemoved",
           "text": "endpoint greeting is gone",
           "endpointName": "greeting"}],
         "errors": [],
         "warnings": []}
        """#
}
