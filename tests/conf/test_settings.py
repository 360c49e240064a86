"""Settings and dataset declarations: every file loads, every wrong key is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from conf import origins
from conf.cleaning import REASONS, Cleaning, RuleSettings
from conf.cleaning_rules import rules_of
from conf.dataset import DATASETS_DIR, load_dataset
from conf.errors import ConfigError
from conf.fields import STREAMS
from conf.lineage import config_hash
from conf.pseudonym import load_key, make_key, pseudonym
from conf.settings import (
    CONF_DIR,
    load_settings,
    overrides_to_environment,
    without_password,
)


@pytest.mark.parametrize("path", sorted(CONF_DIR.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_yaml_file_in_conf_loads(path: Path) -> None:
    if path.parent == DATASETS_DIR:
        assert load_dataset(path.stem).name == path.stem
    else:
        profile = path.stem if path.stem != "base" else "local"
        assert load_settings({"DAYFOLD__PROFILE": profile}).profile == profile


def test_an_environment_variable_overrules_the_files() -> None:
    settings = load_settings({"DAYFOLD__TRAINING__BATCH_SIZE": "77", "DAYFOLD__DATASET": "x-y"})
    assert settings.training.batch_size == 77
    assert settings.path(settings.lake).parts[-2:] == ("lake", "x-y")


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("DAYFOLD__RECOMMEND__TOPN", "5", "recommend.topn"),
        ("DAYFOLD__RECOMMEND__TOP_N", "-5", "recommend.top_n"),
        ("DAYFOLD__LAUNCHER", "magic", "launcher"),
        ("DAYFOLD__PROFILE", "moon", "DAYFOLD__PROFILE"),
        ("DAYFOLD__TRAINING__SCORERS", "two_tower,two_tower", "training.*names one twice"),
        ("DAYFOLD__TRAINING__SCORERS", "mlp", "training.*first one recalls"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_key(variable: str, value: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load_settings({variable: value})


def test_the_password_of_a_uri_is_not_written_down() -> None:
    uri = "postgresql+psycopg2://dayfold:hunter2@db.example/mlflow"
    settings = load_settings({"DAYFOLD__MLFLOW__TRACKING_URI": uri})
    assert settings.mlflow.tracking_uri == uri
    assert "hunter2" not in json.dumps(settings.shown())
    assert without_password(uri) == "postgresql+psycopg2://***@db.example/mlflow"
    assert without_password("redis://:pa/s@s@host:6379/0") == "redis://***@host:6379/0"
    assert without_password("sqlite:////a/b@c.db") == "sqlite:////a/b@c.db"
    other = load_settings({"DAYFOLD__MLFLOW__TRACKING_URI": uri.replace("hunter2", "swordfish")})
    dataset = load_dataset("simulated")
    assert config_hash(settings, dataset) == config_hash(other, dataset)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DAYFOLD__LAUNCHER", "banana", "'inline' or 'subprocess' (found 'banana', from "),
        ("DAYFOLD__RECOMMEND__TOPN", "5", "did you mean top_n?"),
        ("DAYFOLD__TRAINING__SCORERS", "mlp", "(from "),
        ("DAYFOLD__TRAINING", "5", "expected a mapping"),
        ("DAYFOLD__COLOUR", "red", "expected one of profile, home, dataset"),
    ],
)
def test_a_wrong_setting_is_told_with_its_variable_and_what_to_do(
    variable: str, value: str, said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings({variable: value, "DAYFOLD__DRIFT__ALPHA": "0.01"})
    _, line, following = str(raised.value).split("\n")
    assert said in line
    assert f"from {variable}" in line
    assert following.startswith(f"Next: correct or unset {variable}")


def test_a_wrong_setting_of_a_file_is_told_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conf.settings.CONF_DIR", tmp_path)
    (tmp_path / "base.yaml").write_text("profile: local\nlauncher: banana\ntraining: {seed: x}")
    (tmp_path / "local.yaml").write_text("training: {seed: y}")
    with pytest.raises(ConfigError) as raised:
        load_settings({})
    assert "(found 'banana', from conf/base.yaml)" in str(raised.value)
    assert "(found 'y', from conf/local.yaml)" in str(raised.value)
    assert "Next: correct conf/base.yaml, conf/local.yaml, then" in str(raised.value)


def test_a_wrong_setting_of_the_command_line_is_told_with_its_flag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAYFOLD__LAUNCHER", "subprocess")
    monkeypatch.setattr("conf.origins.FLAGS", {})
    monkeypatch.setattr("conf.settings.FLAGS", origins.FLAGS)
    overrides_to_environment(launcher="banana")
    with pytest.raises(ConfigError, match=r"found 'banana', from --launcher"):
        load_settings()


def test_the_password_of_a_misspelt_setting_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="did you mean online_store") as raised:
        load_settings({"DAYFOLD__ONLINE_STOR": "redis://:hunter2@cache:6379/0"})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "uri",
    [
        "rediss://dayfold:hunter2@cache:6379/0",
        "redis://:p@hunter2@cache:6379/0",
        "redis://cache:6379?db=1&password=hunter2",
    ],
)
def test_the_password_of_the_online_store_is_not_written_down(uri: str) -> None:
    settings = load_settings({"DAYFOLD__ONLINE_STORE": uri})
    assert settings.online_store == uri
    assert "hunter2" not in json.dumps(settings.shown())
    assert "cache:6379" in json.dumps(settings.shown())
    with pytest.raises(ConfigError, match=r"\{home\}") as raised:
        settings.uri(uri + "{")
    assert "hunter2" not in str(raised.value)


def test_an_undeclared_dataset_is_answered_with_those_that_are_declared() -> None:
    with pytest.raises(ConfigError, match=r"movietweetings.*simulated"):
        load_dataset("nonsense")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": 1}, "colour"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"labels": {"kind": "threshold"}}, "labels.threshold"),
        ({"positive": {"applause": 1.0}}, "applause"),
        ({"context": ["Drop Table"]}, "Drop Table"),
        ({"context": ["event_type"]}, r"context: \['event_type'\]"),
        ({"context": ["line"]}, r"context: \['line'\]"),
        ({"item_attributes": [{"name": "title", "kind": "categorical"}]}, r"items.*others"),
        ({"user_attributes": [{"name": "user_id", "kind": "categorical"}]}, r"profiles.*others"),
        ({"user_attributes": [{"name": "age", "kind": "numeric"}]}, "bins"),
        ({"contxt": ["device"]}, r"contxt: no such key, did you mean context\?"),
        ({"labels": {"kynd": "sampled"}}, r"labels\.kynd: no such key, did you mean kind\?"),
        ({"item_attributes": [{"nam": "x"}]}, r"item_attributes\.0\.nam: .*did you mean name\?"),
        ({"vocabulary": {"user_id": {"minimum": 2}}}, r"minimum: .*min_count, expire_days"),
        ({"positive": {"buy": 1.0}}, r"(?m)^  positive: \['buy'\] are.*'purchase'.*further_event"),
        ({"labels": {}}, r"(?m)^  labels\.kind: required, but not there$"),
    ],
)
def test_a_wrong_declaration_is_refused_by_its_key(
    tmp_path: Path, change: dict[str, object], named: str
) -> None:
    declared = yaml.safe_load((DATASETS_DIR / "simulated.yaml").read_text())
    (tmp_path / "simulated.yaml").write_text(yaml.safe_dump({**declared, **change}))
    with pytest.raises(ConfigError, match=named):
        load_dataset("simulated", tmp_path)


def test_a_wrong_declaration_ends_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\nlabels: {kind: sampled}\npositiv: {click: 1}\n")
    with pytest.raises(ConfigError) as raised:
        load_dataset("x", tmp_path)
    first, *lines, last = str(raised.value).split("\n")
    assert first == f"{tmp_path / 'x.yaml'}: not valid"
    assert lines == [
        "  positive: required, but not there",
        "  positiv: no such key, did you mean positive? (found {'click': 1})",
    ]
    assert last.startswith("Next: correct these keys")


def test_a_pseudonym_is_the_hmac_of_rfc_4231(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # RFC 4231, test case 2: key "Jefe", data "what do ya want for nothing?"
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert pseudonym(b"Jefe", "what do ya want for nothing?") == expected[:32]
    monkeypatch.delenv("DAYFOLD_KEY", raising=False)
    path = tmp_path / "key"
    make_key(path)
    first = load_key(path)
    make_key(path)
    assert load_key(path) == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_may_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DAYFOLD_KEY", raising=False)
    path = tmp_path / "key"
    make_key(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_key(path)
    with pytest.raises(ConfigError, match="dayfold key"):
        load_key(tmp_path / "none")


OF_VALUE = {"stream": "events", "field": "value", "between": [0, 5]}
OF_CITY = {"stream": "profiles", "field": "city", "matches": "[A-Z].*"}


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        (
            {"hover": {}},
            "rules.hover: no standard rule, expected one of malformed.* needs `stream`, `field`",
        ),
        ({"malformed": {"severity": "off"}}, "rules.malformed: cannot be off"),
        ({"bot": {"severity": "shout"}}, "bot.severity"),
        ({"bot": {"warn_above": 0.5, "fail_above": 0.1}}, "must not be above fail_above"),
        ({"bot": {"fail_above": 1.5}}, "bot.fail_above"),
        ({"bot": {"reason": "busy"}}, "rules.bot: is a standard rule, .'reason'. cannot"),
        ({"malformd": {}}, "rules.malformd: no standard rule, did you mean malformed?"),
        ({"sane": OF_VALUE | {"one_of": ["1"]}}, "has one_of and between, expected exactly one"),
        ({"sane": {"stream": "events", "field": "value"}}, "has no test, expected exactly one"),
        ({"sane": {"field": "value", "required": True}}, "needs `stream` too"),
        ({"clean": OF_VALUE}, "rules.clean: 'clean' cannot be a name"),
        ({"Sane": OF_VALUE}, "rules.Sane: 'Sane' cannot be a name"),
        ({"sane": OF_VALUE | {"reason": "bot"}}, "reason 'bot' is a standard rule's"),
        ({"sane": OF_VALUE | {"between": [5, 0]}}, "holds nothing, the lower bound first"),
        ({"sane": OF_VALUE | {"between": [float("nan"), 5]}}, "holds nothing"),
        ({"sane": OF_VALUE | {"field": "device"}}, "between: device is of kind text, expected num"),
        ({"sane": OF_VALUE | {"field": "amount"}}, "field: 'amount' is no field of events"),
        ({"sane": OF_VALUE | {"event_types": ["hover"]}}, "event_types: .'hover'. are not decl"),
        ({"sane": OF_CITY | {"event_types": ["click"]}}, "this rule is of another stream"),
        ({"sane": OF_CITY | {"matches": "[a"}}, "matches: .* is no pattern"),
        ({"sane": OF_CITY | {"matches": "(?P<n>a)"}}, "not known to Spark"),
        ({"sane": OF_CITY | {"matches": "[a&&b]"}}, "one thing to Java and another to Python"),
        ({"sane": OF_CITY | {"one_of": "Graz"}}, r"sane.one_of: expected a list, .*found 'Graz'"),
        ({"sane": OF_VALUE | {"between": [1, 2, 3]}}, "sane.between: expected at most 2, not 3"),
        ({"sane": OF_CITY | {"one_of": []}}, "sane.one_of: expected at least 1, not 0"),
        ({"sane": OF_CITY | {"shape": "round"}}, "sane.shape: no such key"),
        (
            {n: OF_VALUE | {"reason": "odd", "warn_above": 0.1} for n in ("one", "two")},
            "rules.two: limits hold for all rows of a reason, and rules.one has those of 'odd'",
        ),
    ],
)
def test_a_wrong_cleaning_rule_is_refused_by_its_key(
    tmp_path: Path, rules: dict[str, object], named: str
) -> None:
    declared = yaml.safe_load((DATASETS_DIR / "simulated.yaml").read_text())
    declared["cleaning"] = {"rules": rules}
    (tmp_path / "simulated.yaml").write_text(yaml.safe_dump(declared))
    with pytest.raises(ConfigError, match=named):
        load_dataset("simulated", tmp_path)


def test_rules_that_need_other_tables_are_off_unless_they_are_declared() -> None:
    def off(cleaning: Cleaning) -> list[str]:
        return [name for name in REASONS if cleaning.severity(name) == "off"]

    assert off(Cleaning()) == ["unknown_item", "orphan_click"]
    declared = Cleaning(rules={"orphan_click": RuleSettings(), "bot": RuleSettings(severity="off")})
    assert off(declared) == ["bot", "unknown_item"]


def test_a_rule_of_the_dataset_adds_its_reason() -> None:
    rules = {"sane": OF_VALUE, "seen": OF_VALUE | {"severity": "warn"}, "odd": OF_CITY}
    cleaning = Cleaning.model_validate({"rules": rules | {"worth": OF_VALUE | {"reason": "odd"}}})
    assert cleaning.reasons == (*REASONS, "sane", "odd")


def test_what_yaml_and_java_write_their_own_way_is_understood() -> None:
    rules = yaml.safe_load("""
      bot: {severity: off}
      named: {stream: profiles, field: city, matches: '\\p{Lu}\\p{L}*'}
    """)
    cleaning = Cleaning.model_validate({"rules": rules})
    assert cleaning.severity("bot") == "off"
    assert cleaning.rules["named"].matches == r"\p{Lu}\p{L}*"


def test_every_standard_rule_is_a_rule_of_some_stream() -> None:
    dataset = load_dataset("simulated")
    rules = [rule for stream in STREAMS for rule in rules_of(dataset, stream)]
    assert {rule.name for rule in rules} == set(REASONS) == {rule.reason for rule in rules}
    for stream in STREAMS:
        # Reading a line tells three faults at once; the others are in the order of REASONS.
        order = [REASONS.index(r.name) for r in rules if r.stream == stream][3:]
        assert order == sorted(order)
