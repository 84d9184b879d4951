"""The Dataiku API node's own clients, for users and for admins, against a host."""

import collections

import dataikuapi
import pytest
import requests
from dataikuapi.utils import DataikuException

from conftest import ADMIN_KEY

GENERATIONS = {"v1", "auto_deploy_api"}


@pytest.fixture
def fraud(host):
    return dataikuapi.APINodeClient(host.url + "/", "fraud_detection")


@pytest.fixture
def admin(host):
    return dataikuapi.APINodeAdminClient(host.admin_url, ADMIN_KEY)


@pytest.fixture
def service(admin):
    service = admin.service("fraud_detection")
    entries = [{"generation": "v1", "proba": 0.3}, {"generation": "auto_deploy_api", "proba": 0.7}]
    service.set_generations_mapping({"entries": entries})
    yield service
    service.set_generations_mapping({"entries": entries})


def generation(answer):
    return answer["apiContext"]["serviceGeneration"]


# Users


def test_a_record(fraud, samples):
    answer = fraud.predict_record("predict_fraud", samples.payment, context={"trace": "t-1"})
    assert generation(answer) in GENERATIONS
    assert answer["apiContext"]["serviceId"] == "fraud_detection"
    assert answer["apiContext"]["endpointId"] == "predict_fraud"
    result = answer["result"]
    assert result["prediction"] == "fraud" and result["ignored"] is False
    assert set(result["probas"]) == {"legitimate", "fraud"}
    assert abs(sum(result["probas"].values()) - 1) < 1e-9
    assert 0 <= result["probaPercentile"] <= 100
    assert all(isinstance(time, int) and time >= 0 for time in answer["timing"].values())


def test_the_context_is_in_the_log(fraud, host, samples):
    answer = fraud.predict_record("predict_fraud", samples.payment, context={"trace": "t-77"})
    record = host.records(1, requestId=answer["requestId"])[0]
    assert record["surface"] == "dataiku"
    assert record["results"][0]["context"] == {"trace": "t-77"}


def test_records_with_one_generation_and_row_by_row(fraud, samples):
    records = [{"features": samples.payment} for _ in range(40)]
    answer = fraud.predict_records("predict_fraud", records, dispatch_key="u1")
    assert len(answer["results"]) == 40 and generation(answer) in GENERATIONS
    answer = fraud.predict_records("predict_fraud", records)
    rows = {row["apiContext"]["serviceGeneration"] for row in answer["results"]}
    assert rows == GENERATIONS and "serviceGeneration" not in answer["apiContext"]
    assert fraud.predict_records("predict_fraud", [])["results"] == []


def test_a_regression_has_a_number(host, samples):
    client = dataikuapi.APINodeClient(host.url, "pricing")
    answer = client.predict_record("split", samples.price(1), forced_generation="control")
    assert answer["result"] == {"prediction": 57.57, "ignored": False}


def test_shares_and_stickiness(fraud, service, samples):
    def ask(**options):
        return generation(fraud.predict_record("predict_fraud", samples.payment, **options))

    coins = collections.Counter(ask() for _ in range(600))
    assert 0.22 < coins["v1"] / 600 < 0.38
    keyed = collections.Counter(ask(dispatch_key=f"u{i}") for i in range(600))
    assert 0.22 < keyed["v1"] / 600 < 0.38
    for key in ["u1", "u2", 7]:
        assert len({ask(dispatch_key=key) for _ in range(20)}) == 1
    assert ask(dispatch_key=7) == ask(dispatch_key="7")
    assert {ask(forced_generation="v1") for _ in range(20)} == {"v1"}


def test_explanations(fraud, samples):
    fraud.predict_record("predict_fraud", samples.payment, with_explanations=False)
    with pytest.raises(DataikuException, match="bad_input: explanations"):
        fraud.predict_record("predict_fraud", samples.payment, with_explanations=True)


@pytest.mark.parametrize(
    "service, endpoint, features, options, words",
    [
        ("nope", "predict_fraud", {}, {}, "endpoint_not_found: there is no service 'nope'"),
        ("fraud_detection", "nope", {}, {}, "endpoint_not_found: the service 'fraud_detection'"),
        ("fraud_detection", "predict_fraud", {}, {}, 'bad_input: the input "amount" is missing'),
        (
            "fraud_detection", "predict_fraud", {}, {"forced_generation": "v9"},
            "backend_not_found: the endpoint has no split 'v9'",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(host, service, endpoint, features, options, words):
    client = dataikuapi.APINodeClient(host.url, service, api_key="any")
    with pytest.raises(DataikuException, match=words):
        client.predict_record(endpoint, features, **options)


def test_a_model_that_crashes_is_run_once(host):
    client = dataikuapi.APINodeClient(host.url, "crashes")
    before = len(host.records(surface="dataiku", code="model_crashed"))
    with pytest.raises(DataikuException, match="model_crashed"):
        client.predict_record("crashes", {"number": 1, "how": "abort"})
    assert client.predict_record("crashes", {"number": 7})["result"]["prediction"] == 7
    assert len(host.records(before + 1, surface="dataiku", code="model_crashed")) == before + 1


def test_verbs_that_there_are_none_of(fraud):
    for ask in [
        lambda: fraud.forecast("predict_fraud", [{}]),
        lambda: fraud.sql_query("predict_fraud", {}),
        lambda: fraud.lookup_record("predict_fraud", {}),
        lambda: fraud.run_function("predict_fraud"),
        lambda: fraud.predict_effect("predict_fraud", {}),
    ]:
        with pytest.raises(DataikuException, match="unsupported: this host predicts"):
            ask()


def test_is_alive(host):
    assert requests.get(host.url + "/isAlive/", timeout=10).status_code == 200


# Admins


def test_services_and_generations(admin, service):
    assert {"serviceId": "fraud_detection", "enabled": True} in admin.list_services()
    generations = {item["tag"]: item for item in service.list_generations()}
    assert set(generations) == GENERATIONS
    endpoint = generations["v1"]["endpoints"][0]
    assert endpoint["endpointId"] == "predict_fraud" and abs(endpoint["proba"] - 0.3) < 1e-9
    assert endpoint["deployment"]["version"] == 1 and generations["v1"]["mounted"] is True


def test_a_mapping_changes_the_traffic(fraud, service, samples):
    def seen(count=30):
        return {
            generation(fraud.predict_record("predict_fraud", samples.payment)) for _ in range(count)
        }

    service.set_generations_mapping({"entries": [{"generation": "v1", "proba": 1}]})
    assert seen() == {"v1"}
    service.set_generations_mapping([{"generation": "auto_deploy_api", "proba": 1.0}])
    assert seen() == {"auto_deploy_api"}
    service.switch_to_single_generation("v1")
    assert seen() == {"v1"}
    assert service.switch_to_newest()["ok"] is True
    assert seen() == {"auto_deploy_api"}
    service.preload_generation("v1")


def test_disabling_and_enabling(fraud, admin, service, samples):
    service.disable()
    assert {"serviceId": "fraud_detection", "enabled": False} in admin.list_services()
    with pytest.raises(DataikuException, match="endpoint_disabled"):
        fraud.predict_record("predict_fraud", samples.payment)
    service.enable()
    fraud.predict_record("predict_fraud", samples.payment)
    service.disable()
    service.set_generations_mapping({"entries": [{"generation": "v1", "proba": 1}]})
    assert generation(fraud.predict_record("predict_fraud", samples.payment)) == "v1"


def test_what_admins_cannot_do_is_one_sentence(host, admin, service):
    for ask, words in [
        (lambda: service.set_generations_mapping({"entries": [{"generation": "v1", "proba": 0.5}]}), "add up to 0.5"),
        (lambda: service.set_generations_mapping({"entries": [{"generation": "x", "proba": 1}]}), "no split 'x'"),
        (lambda: service.switch_to_single_generation("x"), "generation_not_found"),
        (lambda: service.preload_generation("x"), "generation_not_found"),
        (lambda: admin.service("x").list_generations(), "service_not_found"),
        (lambda: service.import_generation_from_archive("/tmp/x.zip"), "switchyard deploy"),
        (lambda: admin.auth().list_keys(), "--admin-key-file"),
        (lambda: admin.create_service("x"), "endpoints/NAME.yaml"),
        (lambda: service.delete(), "switchyard reload"),
        (lambda: admin.get_metrics(), "/metrics"),
        (lambda: dataikuapi.APINodeAdminClient(host.admin_url, "wrong").list_services(), "unauthorized"),
    ]:
        with pytest.raises(DataikuException, match=words):
            ask()
    assert {item["tag"] for item in service.list_generations()} == GENERATIONS


def test_live_weights_and_switches_survive_a_restart(host, samples):
    def clients():
        admin = dataikuapi.APINodeAdminClient(host.admin_url, ADMIN_KEY)
        return admin, admin.service("fraud_detection")

    admin, service = clients()
    service.switch_to_single_generation("v1")
    admin.service("screening").disable()
    host.stop()
    host.start()
    admin, service = clients()
    client = dataikuapi.APINodeClient(host.url, "fraud_detection")
    seen = {generation(client.predict_record("predict_fraud", samples.payment)) for _ in range(30)}
    assert seen == {"v1"}
    assert {"serviceId": "screening", "enabled": False} in admin.list_services()
    admin.service("screening").enable()
    service.switch_to_newest()
