"""Triton's own client, which speaks Open Inference, against a host."""

import collections

import ml_dtypes
import numpy as np
import pytest
import requests
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from conftest import ADMIN_KEY


@pytest.fixture
def client(host):
    with triton.InferenceServerClient(host.address) as client:
        yield client


@pytest.fixture
def admin(host):
    with triton.InferenceServerClient(host.admin_address) as client:
        yield client


KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}


def tensor(name, datatype, values, binary):
    values = np.asarray(values)
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def payments(count, binary=True):
    return [
        tensor("amount", "FP32", np.linspace(1, 1500, count, dtype=np.float32), binary),
        tensor("merchant_category", "BYTES", np.array(["electronics"] * count, dtype=object), binary),
        tensor("hour", "INT8", np.full(count, 3, dtype=np.int8), binary),
        tensor("is_foreign", "BOOL", np.full(count, True), binary),
    ]


def prices(user, binary=True):
    return [
        tensor("price", "FP64", np.array([19.99]), binary),
        tensor("quantity", "INT64", np.array([3]), binary),
        tensor("category", "BYTES", np.array(["shopping"], dtype=object), binary),
        tensor("user_id", "BYTES", np.array([user], dtype=object), binary),
    ]


# The server and its models


def test_the_server(client):
    assert client.is_server_live() and client.is_server_ready()
    metadata = client.get_server_metadata()
    assert metadata["name"] == "switchyard" and "binary_tensor_data" in metadata["extensions"]


def test_models(client):
    assert client.is_model_ready("split") and client.is_model_ready("split", "control")
    assert client.is_model_ready("fraud_detection", "2")
    assert client.is_model_ready("fraud_detection", "auto_deploy_api")
    assert not client.is_model_ready("nope") and not client.is_model_ready("split", "nope")
    metadata = client.get_model_metadata("split")
    assert metadata["versions"] == ["control", "experiment"]
    assert {"name": "price", "datatype": "FP64", "shape": [-1]} in metadata["inputs"]
    assert client.get_model_metadata("fraud_detection", "1")["versions"] == ["1", "2"]
    assert client.get_model_config("matrix_vector")["input"][0]["data_type"] == "TYPE_FP32"
    index = {(m["name"], m.get("version")): m for m in client.get_model_repository_index()}
    assert index["split", None]["state"] == "READY"
    assert index["fraud_detection", "2"]["state"] == "READY"


def test_statistics(client):
    before = client.get_inference_statistics("echo")["model_stats"][0]
    client.infer("echo", [tensor("x", "INT32", np.array([1], dtype=np.int32), True)])
    after = client.get_inference_statistics("echo")["model_stats"][0]
    count = [s["inference_stats"]["success"]["count"] for s in (before, after)]
    assert count[1] == count[0] + 1 and after["last_inference"] > 1e12
    assert len(client.get_inference_statistics()["model_stats"]) > 5


# Inferences


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_rows_in_json_and_in_binary(client, binary_in, binary_out):
    outputs = [triton.InferRequestedOutput(n, binary_data=binary_out) for n in ("prediction", "probas")]
    answer = client.infer(
        "predict_fraud", payments(5, binary_in), outputs=outputs, request_id="r1",
        model_version="v1",
    )
    assert answer.as_numpy("probas").shape == (5, 2)
    assert np.allclose(answer.as_numpy("probas").sum(axis=1), 1)
    assert [str(label, "ascii") if isinstance(label, bytes) else label
            for label in answer.as_numpy("prediction")] == ["fraud"] * 5
    response = answer.get_response()
    assert response["id"] == "r1" and response["model_version"] == "v1"
    assert response["parameters"]["assignment"] == "forced"
    assert response["parameters"]["deployment"] == "main/fraud_detection/1"


def test_many_rows_go_through_predict_batch(client, host):
    numbers = np.arange(1000, dtype=np.float64)
    answer = client.infer("batch", [tensor("n", "FP64", numbers, True)])
    # The fixture answers with its number, and with how many rows it was asked at once.
    output = answer.as_numpy("output")
    assert np.array_equal(output[:, 0], numbers) and output[:, 1].min() > 1
    few = client.infer("batch", [tensor("n", "FP64", numbers[:8], True)])
    assert np.array_equal(few.as_numpy("output"), [[n, 8] for n in range(8)])


def test_one_call_has_one_split_and_rows_are_logged(client, host):
    answer = client.infer("split", prices("u-9")).get_response()
    record = host.records(1, requestId=answer["parameters"]["request_id"])[0]
    assert record["surface"] == "v2" and record["backendName"] == answer["model_version"]
    assert record["results"][0]["subjectId"] == "u-9"


def test_stickiness_and_shares(client):
    def arm(**parameters):
        return client.infer("split", prices("u"), parameters=parameters).get_response()["model_version"]

    arms = collections.Counter(arm(subject_id=f"user-{i}") for i in range(600))
    assert 0.67 < arms["experiment"] / 600 < 0.83
    assert len({arm(subject_id="u1") for _ in range(20)}) == 1
    assert arm(subject_id=7) == arm(subject_id="7")


@pytest.mark.parametrize("binary", [True, False])
def test_a_model_that_takes_tensors(client, binary):
    matrix = np.random.default_rng(1).normal(size=(37, 61)).astype(np.float32)
    vector = np.arange(61, dtype=np.float32)
    inputs = [tensor("matrix", "FP32", matrix, binary), tensor("vector", "FP32", vector, binary)]
    answer = client.infer("matrix_vector", inputs)
    product = answer.as_numpy("product")
    assert product.dtype == np.float32 and np.allclose(product, matrix @ vector, rtol=1e-4, atol=1e-2)
    assert client.infer("forms", inputs, model_version="tensors").as_numpy("product").shape == (37,)


@pytest.mark.parametrize(
    "datatype, values",
    [
        ("BOOL", [True, False]), ("UINT8", [0, 255]), ("UINT16", [0, 65535]),
        ("UINT32", [0, 2**32 - 1]), ("UINT64", [0, 2**64 - 1]), ("INT8", [-128, 127]),
        ("INT16", [-(2**15), 2**15 - 1]), ("INT32", [-(2**31), 2**31 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]), ("FP16", [0.5, -65504]), ("FP32", [0.1, -3e38]),
        ("FP64", [0.1, -1e308]), ("BF16", [0.5, -2]), ("BYTES", ['{"a": [1]}', '"ü"']),
    ],
)
def test_every_datatype(client, datatype, values):
    types = {
        "BOOL": bool, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
        "BF16": ml_dtypes.bfloat16, "BYTES": object,
    }
    kind = types.get(datatype) or np.dtype(datatype.lower())
    if datatype == "BYTES":
        sent = np.array([v.encode() for v in values], dtype=kind)
    else:
        sent = np.array(values, dtype=kind)
    outputs = [triton.InferRequestedOutput("output", binary_data=False)]
    answer = client.infer("echo", [tensor("x", datatype, sent, True)], outputs=outputs)
    data = answer.get_response()["outputs"][0]
    if datatype == "BYTES":
        assert data["data"] == ['[{"a": [1]}]', '["ü"]']
    elif datatype == "BOOL":
        assert data["data"] == ["[true]", "[false]"]
    elif datatype in ("UINT64", "INT64"):
        # Numbers are doubles in a list of them; the text that the model gets is exact.
        assert [float(v) for v in data["data"]] == [float(v) for v in values]
    else:
        assert data["data"] == [float(v) for v in sent]


def test_a_raw_body_is_one_tensor(host):
    body = np.array([1.5, 2.5], dtype=np.float64).tobytes()
    headers = {"Inference-Header-Content-Length": "0"}
    answer = requests.post(f"{host.url}/v2/models/batch/infer", data=body, headers=headers, timeout=10)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/octet-stream"
    header = int(answer.headers["Inference-Header-Content-Length"])
    output = np.frombuffer(answer.content[header:], dtype=np.float64)
    assert np.array_equal(output, [1, 2, 2, 2])


def test_asynchronously(client):
    pending = [client.async_infer("predict_fraud", payments(2)) for _ in range(10)]
    assert all(p.get_result().as_numpy("probas").shape == (2, 2) for p in pending)


def test_answers_are_plain_whatever_is_asked(client):
    answer = client.infer("predict_fraud", payments(2), response_compression_algorithm="gzip")
    assert answer.as_numpy("probas").shape == (2, 2)


# Errors


@pytest.mark.parametrize(
    "ask, status, words",
    [
        (lambda c: c.infer("nope", payments(1)), "404", "there is no endpoint"),
        (lambda c: c.infer("predict_fraud", payments(1), model_version="v9"), "404", "has no split 'v9'"),
        (lambda c: c.infer("fraud_detection", payments(1), model_version="9"), "404", "version '9'"),
        (lambda c: c.infer("predict_fraud", payments(1)[1:]), "400", 'the input "amount" is missing'),
        (
            lambda c: c.infer("predict_fraud", payments(2)[:3] + payments(1)[3:]), "400",
            "differ in their number of rows",
        ),
        (
            lambda c: c.infer("predict_fraud", payments(1), outputs=[triton.InferRequestedOutput("x")]),
            "400", 'there is no output "x"',
        ),
        (
            lambda c: c.infer(
                "predict_fraud", payments(1),
                outputs=[triton.InferRequestedOutput("probas", class_count=1)],
            ),
            "400", "classification",
        ),
        (
            lambda c: c.infer("predict_fraud", payments(1), request_compression_algorithm="gzip"),
            "415", "Content-Encoding",
        ),
        (
            lambda c: c.infer("matrix_vector", [tensor("matrix", "FP64", np.zeros((1, 1)), True)]),
            "400", 'the input "matrix" is FP64',
        ),
        (
            lambda c: c.infer("fails", [tensor("x", "BYTES", np.array([b'"silent_error"'], dtype=object), True)]),
            "500", "",
        ),
        (lambda c: c.load_model("echo"), "503", "model control is off"),
        (lambda c: c.unload_model("echo"), "503", "model control is off"),
        (lambda c: c.get_trace_settings(), "404", "nothing at this path"),
        (lambda c: c.get_log_settings(), "404", "nothing at this path"),
        (lambda c: c.get_system_shared_memory_status(), "404", "nothing at this path"),
    ],
)
def test_what_cannot_be_is_one_sentence(client, ask, status, words):
    with pytest.raises(InferenceServerException) as error:
        ask(client)
    assert error.value.status() == status and words in error.value.message()


def test_a_model_that_fails_is_run_once(client, host):
    before = len(host.records(surface="v2", code="model_failed"))
    with pytest.raises(InferenceServerException):
        client.infer("fails", [tensor("x", "BYTES", np.array([b'"silent_error"'], dtype=object), True)])
    assert len(host.records(before + 1, surface="v2", code="model_failed")) == before + 1


def test_a_fallback_answers_the_whole_call(client):
    answer = client.infer("falls", [tensor("x", "BYTES", np.array([b'"ok"', b'"silent_error"'], dtype=object), True)])
    response = answer.get_response()
    assert response["model_version"] == "flat" and response["parameters"]["assignment"] == "fallback"
    assert list(answer.as_numpy("output")) == [b'{"score":42}'] * 2


# Admins


def test_loading_and_unloading(client, admin):
    for name in ("echo", "falls"):
        admin.unload_model(name, headers=KEY)
        assert not client.is_model_ready(name)
        states = {m["name"]: m["state"] for m in admin.get_model_repository_index(headers=KEY)}
        assert states[name] == "UNAVAILABLE" and client.is_server_ready()
        admin.load_model(name, headers=KEY)
        assert client.is_model_ready(name)
    with pytest.raises(InferenceServerException, match="pricing_model_v1 answers for the endpoints"):
        admin.unload_model("pricing_model_v1", headers=KEY)
    with pytest.raises(InferenceServerException, match="no loaded deployment 'nope'"):
        admin.load_model("nope", headers=KEY)
    with pytest.raises(InferenceServerException, match="switchyard deploy"):
        admin.load_model("echo", config="{}", headers=KEY)
    with pytest.raises(InferenceServerException, match="Authorization"):
        admin.load_model("echo")
