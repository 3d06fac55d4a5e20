"""How an audit is told of its model: what stands in the environment, and that the key does not."""

import os
from pathlib import Path

import pytest

from remit import RefusedError, ToolNotDoneError
from remit.adviser import Adviser, told
from remit.contracts.errors import UsageError
from remit.teams.audit.tools import model

KEY = "sk-0123456789"
NAMES = (model.URL, model.NAMES, model.PRICE, model.KEY_FILE, model.KEY)


def adviser(**given: str) -> Adviser:
    return Adviser(**({"name": "small", "url": "http://127.0.0.1:1/v1", "price": "", "key_file": ""} | given))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_a_key_of_the_environment_stands_in_a_private_file_while_the_audit_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(model.KEY, KEY)
    folder = tmp_path / "data"

    with told(adviser(price="1,2"), folder):
        file = Path(os.environ[model.KEY_FILE])
        assert (file.read_text(), file.stat().st_mode & 0o777) == (KEY, 0o600)
        assert KEY not in os.environ.values()
        assert model.server(os.environ).name == "model.complete"

    assert os.environ[model.KEY] == KEY
    assert not {model.URL, model.KEY_FILE} & {*os.environ}
    assert list(folder.iterdir()) == []


def test_a_file_with_the_key_is_named_and_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(KEY)
    monkeypatch.chdir(tmp_path)

    with told(adviser(key_file="key"), tmp_path / "data"):
        assert os.environ[model.KEY_FILE] == str(tmp_path / "key")

    assert not (tmp_path / "data").exists()


def test_without_a_model_nothing_of_one_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(model.KEY, KEY)
    monkeypatch.setenv(model.URL, "http://127.0.0.1:1/v1")

    with told(None, tmp_path):
        assert not {*NAMES} & {*os.environ}

    assert os.environ[model.URL] == "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"url": ""}, "no server is named"),
        ({"url": "ftp://models"}, "no address of a model server"),
        ({"url": "https://me:secret@models/v1"}, "no address of a model server"),
        ({"price": "1"}, "this is no price"),
        ({"price": "1,-2"}, "no number of money"),
        ({"key_file": "/absent/key"}, "the key cannot be read"),
        ({"name": "a,b"}, "no name of one model"),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused_before_anything_starts(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        adviser(**given).check()

    assert "secret" not in str(refused.value)


def test_a_gateway_that_knows_no_server_asks_nobody() -> None:
    with pytest.raises(ToolNotDoneError, match="knows no server of models"):
        model.server({model.NAMES: "small"})


def test_a_gateway_with_an_environment_of_its_own_may_hold_the_key_there_and_a_price_is_two_numbers() -> None:
    assert model.server({model.URL: "http://m/v1", model.NAMES: "a, b", model.KEY: KEY}).risk == "medium"
    assert model.price({model.PRICE: "0.15,0.6"}).of(1_000_000, 1_000_000) == 0.75
    with pytest.raises(RefusedError, match="this is no price"):
        model.price({model.PRICE: "cheap"})
