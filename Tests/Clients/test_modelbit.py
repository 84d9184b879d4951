"""Modelbit's own client against a host."""

import collections
import json
import time

import modelbit
import pandas
import pytest


@pytest.fixture
def call(host):
    def call(deployment, data, **options):
        workspace, region = "127", host.loopback.removeprefix("127.") + ":5000"
        return modelbit.get_inference(
            deployment=deployment, data=data, workspace=workspace, region=region, **options
        )

    return call


def test_a_single_answer_says_which_split_made_it(call, samples):
    answer = call("split", samples.price("123"))
    assert answer["split"]["backendName"] in ("control", "experiment")
    assert answer["split"]["subjectId"] == "123"
    assert answer["requestId"]


def test_every_kind_of_single_data(call):
    for data, arguments in [
        ({"a": 1}, [{"a": 1}]), ("text", ["text"]), (7, [7]), (True, [True]),
        ([1, "two"], [1, "two"]), ([], []),
    ]:
        assert call("echo", data)["data"] == arguments


def test_keys_branches_and_versions(call, samples):
    for options in [
        {"api_key": "mi123:ms456"}, {"api_key": None}, {"version": "1"}, {"version": "latest"},
        {"branch": "main"},
    ]:
        assert call("pricing_model_v1", samples.price(1), **options)["data"] == 57.57
    assert call("fraud_detection", samples.payment, version="v1")["split"]["deployment"]["version"] == 1
    with pytest.raises(modelbit.ModelbitError, match="team/alice"):
        call("echo", 1, branch="team/alice")


def test_a_batch_keeps_ids_and_order(call):
    rows = [[1, 10], ["a", 20], [2.5, 30]]
    assert call("echo", rows)["data"] == [[1, [10]], ["a", [20]], [2.5, [30]]]


def test_the_client_sends_a_large_batch_in_pieces(call, host):
    rows = [[i, i] for i in range(7001)]
    assert call("echo", rows)["data"] == [[i, [i]] for i in range(7001)]


def test_a_data_frame_is_a_batch(call, samples):
    frame = pandas.DataFrame([samples.price(i) for i in range(5)])
    rows = call("split", frame)["data"]
    assert [row[0] for row in rows] == [0, 1, 2, 3, 4]


def test_rows_are_assigned_one_by_one_and_stay_with_theirs(call, samples):
    single = call("split", samples.price("7"))
    assert all(call("split", samples.price("7"))["data"] == single["data"] for _ in range(20))
    rows = call("split", [[i, samples.price(str(i))] for i in range(4000)])["data"]
    assert rows[7][1] == single["data"]
    # Version 2 answers an object: its weight is 3 of 4.
    share = collections.Counter(isinstance(row[1], dict) for row in rows)[True] / 4000
    assert 0.72 < share < 0.78


@pytest.mark.parametrize(
    "deployment, data, options, words",
    [
        ("nope", 1, {}, "there is no deployment 'main/nope'"),
        ("pricing_model_v1", {"price": 1}, {}, 'the input "quantity" is missing'),
        ("pricing_model_v1", {"price": "x"}, {}, 'the input "price" is a string'),
        ("pricing_model_v1", 1, {"version": "9"}, "version '9' of main/pricing_model_v1"),
        ("echo", 1, {"response_webhook": "https://127.0.0.1/x"}, '"response_webhook"'),
        ("echo", 1, {"response_format": "links"}, '"response_format" is "links"'),
    ],
)
def test_what_cannot_be_is_one_sentence(call, deployment, data, options, words):
    with pytest.raises(modelbit.ModelbitError) as error:
        call(deployment, data, **options)
    assert words in str(error.value)


def test_a_model_that_fails_is_run_once(call, host):
    begun = time.monotonic()
    with pytest.raises(modelbit.ModelbitError):
        call("fails", "silent_error")
    assert time.monotonic() - begun < 4
    assert len(host.records(1, surface="native", code="model_failed")) == 1
    with pytest.raises(modelbit.ModelbitError):
        call("fails", [[1, "ok"], [2, "silent_error"]])
    time.sleep(0.5)
    assert len(host.records(2, surface="native", code="model_failed")) == 2


def test_a_model_that_crashes_is_run_once(call, host):
    with pytest.raises(modelbit.ModelbitError, match="(?s).*"):
        call("faulty", {"number": 1, "how": "null"})
    assert call("faulty", {"number": 7})["data"] == 7
    assert len(host.records(1, surface="native", code="model_crashed")) == 1


def test_timeout_seconds_is_the_deadline(call, host):
    begun = time.monotonic()
    with pytest.raises(modelbit.ModelbitError, match="time"):
        call("faulty", [[i, {"number": i, "ms": 400}] for i in range(40)], timeout_seconds=1)
    assert time.monotonic() - begun < 5
    assert len(host.records(1, surface="native", code="deadline_exceeded")) == 1


def test_no_success_has_an_error_member(call, samples):
    for answer in [call("split", samples.price(1)), call("falls", "silent_error")]:
        assert "error" not in answer and json.dumps(answer)
    assert call("falls", "silent_error")["split"]["assignment"] == "fallback"
