"""`dayfold pool` and `dayfold serve` on a home with a published champion."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conf.pseudonym import fingerprint
from conf.settings import Settings
from dayfold import pool_commands
from dayfold.cli import app
from feature_store.promotion_ledger import PromotionEvent, write_event
from tests.dayfold.forget_fixture import SmallPlace
from tests.dayfold.test_commands import dayfold
from tests.training.home_fixture import fresh_home
from tests.training.lake_fixture import small_lake
from tests.training.promoted_home import TRAINED, Home, promoted_home
from training import publish
from training.light.server import Server
from training.registry.pool import set_pool
from training.registry.registry import Registry


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which TRAINED is published."""
    root = tmp_path_factory.mktemp("published") / "home"
    lake = small_lake(root / "lake" / "small")
    made = promoted_home(lake, fresh_home(root))
    publish.run(made.context(TRAINED))
    return made


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    place = SmallPlace(home.settings, home.lake.dataset)
    monkeypatch.setattr(pool_commands, "open_workplace", lambda: place)
    return CliRunner()


def said(runner: CliRunner, *arguments: str) -> str:
    done = runner.invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def release_of(settings: Settings) -> dict[int, float]:
    folder = settings.path(settings.serving.release)
    content = json.loads((folder / "release.json").read_text())
    return {one["registered_version"]: one["weight"] for one in content["versions"]}


def test_a_pool_is_set_shown_and_cleared(run: CliRunner, home: Home) -> None:
    champion = next(iter(release_of(home.settings)))
    other = 3 - champion
    assert f"version {champion} (" in said(run, "pool", "show")
    output = said(run, "pool", "set", f"{champion}=3", f"v{other}=1")
    assert re.search(rf"version {champion} \(\w+, the champion; \S+ in answers\): 75\.0%", output)
    assert re.search(rf"version {other} \(\w+; \S+ in answers\): 25\.0% of the requests", output)
    assert release_of(home.settings) == {champion: 0.75, other: 0.25}
    publish.run(home.context(TRAINED))  # the day run again leaves the pool
    assert release_of(home.settings) == {champion: 0.75, other: 0.25}
    assert "warning" not in output
    output = said(run, "pool", "set", f"{other}=1")
    assert f"serves without champion {champion}, and later promotions will not serve" in output
    assert "Next: dayfold pool set 1=1 2=1, or dayfold pool clear" in output
    assert "100.0%" in said(run, "pool", "clear")
    assert release_of(home.settings) == {champion: 1.0}


def test_what_is_released_is_told_where_it_is_otherwise(run: CliRunner, home: Home) -> None:
    """As after a rollback that was killed: only its end writes the release."""
    champion = next(iter(release_of(home.settings)))
    other = 3 - champion
    set_pool(Registry(home.settings, home.lake.id), {champion: 1, other: 1}, "random")
    output = said(run, "pool", "show")
    assert f"warning: the release still serves version {champion} 100.0%. Next: " in output
    assert "Next: dayfold pool set 1=0.5 2=0.5 --pick random\n" in output
    event = PromotionEvent(TRAINED, "rollback", other, "mlp", champion, {}, "bad", "me", number=9)
    write_event(home.lake, event, "intent")
    try:
        assert "100.0%. Next: dayfold rollback --resume" in said(run, "pool", "show")
        for change in (("set", f"{other}=1"), ("clear",)):
            done = run.invoke(app, ["pool", *change])
            assert "A rollback was begun and has not ended. Next: " in str(done.exception)
    finally:
        write_event(home.lake, event, "withdrawn")
    assert "warning" not in said(run, "pool", "clear")


def test_the_report_says_that_a_pool_has_no_day_yet(
    run: CliRunner, home: Home, tmp_path: Path
) -> None:
    champion = next(iter(release_of(home.settings)))
    other, log = 3 - champion, tmp_path / "answers.jsonl"
    assert "Next: dayfold pool set 7=0.9 8=0.1" in said(run, "pool", "report")
    shares = [f"{champion}=1", f"{other}=1"]
    said(run, "pool", "set", *shares)
    first = "The pool of versions 1, 2 stands, and the first day on which users saw its lists is"
    assert first in one_line(said(run, "pool", "report"))
    log.write_text("")
    output = one_line(said(run, "pool", "report", "--log", str(log)))
    assert "stands, and one version gave all answers" in output
    said(run, "pool", "set", *shares, "--pick", "random")
    assert "Next: dayfold pool report --log FILE" in one_line(said(run, "pool", "report"))
    said(run, "pool", "clear")


def one_line(output: str) -> str:
    return " ".join(output.split())


def test_a_share_that_is_none_is_named(run: CliRunner) -> None:
    done = run.invoke(app, ["pool", "set", "champion=1"])
    assert "'champion=1': expected VERSION=WEIGHT, such as 7=0.9." in str(done.exception)
    done = run.invoke(app, ["pool", "set", "1=0.9", "v1=0.1"])
    assert "Version 1 is named twice" in str(done.exception)


def test_to_show_a_pool_writes_nothing(run: CliRunner, home: Home) -> None:
    folder = home.settings.path(home.settings.serving.release)
    etag = json.loads((folder / "release.json").read_text())["etag"]
    assert f"release {etag} in " in said(run, "pool", "show")
    aside = folder.with_name("aside")
    folder.rename(aside)
    assert "no release yet in " in said(run, "pool", "show")
    assert not folder.exists()
    aside.rename(folder)


def test_a_version_that_is_not_there_is_named_with_those_that_are(run: CliRunner) -> None:
    done = run.invoke(app, ["pool", "set", "99=1"])
    assert re.search(
        r"There is no version 99 of dayfold-\w+, expected one of 1, 2\. Next: dayfold history",
        str(done.exception),
    )
    assert "--fresh" not in str(done.exception)


def test_a_port_that_is_none_is_refused(run: CliRunner) -> None:
    done = run.invoke(app, ["serve", "--port", "99999"])
    assert done.exit_code == 2
    assert "less than or equal to 65535" in done.output


def test_the_light_server_serves_the_release_as_a_process(home: Home, tmp_path: Path) -> None:
    folder = home.settings.path(home.settings.serving.release)
    version = next(path for path in folder.iterdir() if path.is_dir())
    log = tmp_path / "answers.jsonl"
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "dayfold_light", str(folder), "--port", "0", "--log", str(log)),
            *("--engine", "numpy"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=version,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = re.search(r"http://127\.0\.0\.1:\d+/recommend", line)
            assert url is not None, line
            with urllib.request.urlopen(url[0], b'{"top_n": 2}', timeout=10) as answer:  # noqa: S310
                content = json.load(answer)
            assert len(content["items"]) == 2
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
    assert json.loads(log.read_text())["version"] == content["version"]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[bytes | None]:
    """What `dayfold serve` would have served with: it ends at once."""
    asked: list[bytes | None] = []

    def serve_forever(server: Server, **_: object) -> None:
        asked.append(server.service.key)

    monkeypatch.setattr(Server, "serve_forever", serve_forever)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return asked


def test_the_server_has_the_key_of_the_environment_or_else_the_homes(
    run: CliRunner, home: Home, keys: list[bytes | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wins, path = os.environ["DAYFOLD_KEY"], home.settings.path(home.settings.key_file)
    said(run, "serve", "--port", "0")
    path.write_text("ab" * 32)
    path.chmod(0o600)
    said(run, "serve", "--port", "0")
    monkeypatch.delenv("DAYFOLD_KEY")
    said(run, "serve", "--port", "0")
    assert keys == [bytes.fromhex(wins), bytes.fromhex(wins), bytes.fromhex("ab" * 32)]
    path.unlink()
    refused = str(run.invoke(app, ["serve"]).exception)
    assert refused.startswith(f"There is no key for the user ids: expected DAYFOLD_KEY or {path}.")


def test_a_server_with_another_key_than_the_lakes_is_refused(
    run: CliRunner, keys: list[bytes | None], home: Home
) -> None:
    about = home.lake.root / "lake.json"
    before = about.read_text()
    about.write_text(json.dumps({**json.loads(before), "key": fingerprint(bytes(32))}))
    refused = str(run.invoke(app, ["serve", "--port", "0"]).exception)
    about.write_text(before)
    assert f"The user ids in {home.lake.root} were made with another key" in refused
    assert keys == []


def test_without_a_champion_the_next_command_is_named(tmp_path: Path) -> None:
    for command in (["pool", "show"], ["serve"]):
        done = dayfold(tmp_path / "home", *command)
        assert done.returncode == 2
        assert "Next: " in done.stderr
