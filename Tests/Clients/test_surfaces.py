"""What holds over all protocols, and what a host says of itself."""

import os
import subprocess
import sys
from pathlib import Path

import dataikuapi
import modelbit
import numpy as np
import pytest
import requests
import tritonclient.http as triton

from conftest import ADMIN_KEY


def test_one_subject_has_one_arm_on_every_surface(host, samples):
    node = dataikuapi.APINodeClient(host.url, "pricing")
    region = host.loopback.removeprefix("127.") + ":5000"
    with triton.InferenceServerClient(host.address) as client:
        for user in [f"user-{i}" for i in range(50)] + [7, "7", 12345678901234567890]:
            features = samples.price(user)
            native = modelbit.get_inference(
                deployment="split", data=features, workspace="127", region=region
            )["split"]
            by_feature = node.predict_record("split", features)
            by_key = node.predict_record("split", samples.price("other"), dispatch_key=user)
            inputs = []
            for name, datatype, value in [
                ("price", "FP64", 1.0), ("quantity", "FP64", 1.0), ("category", "BYTES", b"x"),
                ("user_id", "BYTES", str(user).encode()),
            ]:
                kind = object if datatype == "BYTES" else np.float64
                made = triton.InferInput(name, [1], datatype)
                made.set_data_from_numpy(np.array([value], dtype=kind))
                inputs.append(made)
            by_tensor = client.infer("split", inputs).get_response()
            by_parameter = client.infer("split", inputs, parameters={"subject_id": str(user)})
            arms = {
                native["backendName"], by_feature["apiContext"]["serviceGeneration"],
                by_key["apiContext"]["serviceGeneration"], by_tensor["model_version"],
                by_parameter.get_response()["model_version"],
            }
            assert len(arms) == 1, (user, arms)
            subjects = {
                native["subjectId"], by_feature["split"]["subjectId"],
                by_tensor["parameters"]["subject_id"],
            }
            assert subjects == {str(user)}


def test_content_types_and_slashes_decide_nothing(host):
    bodies = {
        "/v1/echo": '{"data": 1}',
        "/public/api/v1/fraud_detection/predict_fraud/predict-multi": '{"items": []}',
        "/v2/models/echo/infer":
            '{"inputs": [{"name": "x", "datatype": "INT8", "shape": [1], "data": [1]}]}',
    }
    for path, body in bodies.items():
        for kind in [None, "text/plain", "application/x-www-form-urlencoded", "image/png"]:
            for way in [path, path + "/", "/" + path, path.replace("/", "//") + "//"]:
                headers = {"Content-Type": kind} if kind else {}
                answer = requests.post(host.url + way, data=body, headers=headers, timeout=10)
                assert answer.status_code == 200, (way, kind, answer.text)


def test_errors_have_the_form_of_their_surface(host):
    for path, member in [
        ("/v1/nope", "error"), ("/public/api/v1/a/b/predict", "errorType"),
        ("/public/api/v1/a", "errorType"), ("/v2/models/nope/infer", "error"), ("/v2/x", "error"),
    ]:
        answer = requests.post(host.url + path, data="{}", timeout=10)
        assert answer.status_code == 404 and isinstance(answer.json()[member], str)
        answer = requests.post(host.url + path, data="x" * (33 << 20), timeout=30)
        assert answer.status_code == 413 and isinstance(answer.json()[member], str)


def schemathesis(folder, url, *words):
    """Runs schemathesis with all its checks; its report where it finds something."""
    program = Path(sys.executable).parent / "schemathesis"
    done = subprocess.run(
        [
            program, "run", f"{url}/openapi.json", "--url", url, "--checks", "all",
            "--phases", "examples,coverage,fuzzing,stateful", "-n",
            os.environ.get("SCHEMATHESIS_EXAMPLES", "15"), "--seed", "1",
            "--generation-database", "none", "--no-color", "--request-timeout", "30",
            "--continue-on-failure", *words,
        ],
        cwd=folder, capture_output=True, text=True, timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_host_says_to_clients_is_so(sample_host, tmp_path):
    schemathesis(tmp_path, sample_host.url)


def test_what_the_host_says_to_admins_is_so(sample_host, tmp_path):
    schemathesis(tmp_path, sample_host.admin_url, "-H", f"Authorization: Bearer {ADMIN_KEY}")
