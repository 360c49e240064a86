"""The day.

Folds one day's logs into the recommender: clean, encode, build features and examples, let the
champion score the day, decide about drift, train and gate candidates if need be, publish lists.

One run = one processing day: `{{ params.day or ds }}`. It waits for the day's `_SUCCESS` while
somebody seems to be writing the day (`schedule.wait_hours`). A task launches `dayfold step NAME
--ds D` (launcher `subprocess`) or the same code in this process (launcher `inline`); every task may
be cleared and run again. A day refuses to run while an earlier day is open (`open_day`); a scorer
that fails does not stop the lists.

A day that promotes says so: an event of the asset `dayfold://<dataset>/champion`, through the alias
`dayfold_promotion`, with dataset, day, version and scorer as `extra`. A day whose winner waits for
a human (`promotion.approval: required`) says so when it is published: an event of
`dayfold://<dataset>/challenger`, which starts DAG `dayfold_approval`. A day that is cleared and run
again says it again. What is changed by the command line, such as a rollback, is no event.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import DAG, Asset, AssetAlias, CronDataIntervalTimetable, Param, TriggerRule
from airflow.sdk.definitions.mappedoperator import MappedOperator

from conf.settings import load_settings
from dayfold.day import BRANCH_AFTER, OPENING, STEPS, edges
from dayfold.launch import launch, launch_if_decided, may_begin

SETTINGS = load_settings()
DAY = "{{ params.day or ds }}"
WHAT = {"launcher": SETTINGS.launcher, "ds": DAY}
PROMOTED, CHAMPION = (
    AssetAlias("dayfold_promotion"),
    Asset(f"dayfold://{SETTINGS.dataset}/champion"),
)
PROPOSED, CHALLENGER = (
    AssetAlias("dayfold_proposal"),
    Asset(f"dayfold://{SETTINGS.dataset}/challenger"),
)
BRANCH, TRAIN, EVALUATE = "branch_on_drift", "train", "evaluate"
PROMOTE, PUBLISH = "promote", "publish"


def choose(facts: dict[str, object], when_training: str, otherwise: str) -> str:
    """The task that follows the drift decision."""
    return when_training if facts["train"] else otherwise


def promote(
    decision: Any, launcher: str, name: str, ds: str, *, outlet_events: Any
) -> dict[str, Any]:
    """Launch the step; where it promoted, fill the alias. Airflow gives `outlet_events`."""
    facts = launch_if_decided(decision, launcher, name, ds)
    if facts["promoted"]:
        said = {"dataset": SETTINGS.dataset, "ds": ds}
        said |= {key: facts[key] for key in ("version", "scorer")}
        outlet_events[PROMOTED].add(CHAMPION, extra=said)
    return facts


def publish(
    promoted: dict[str, Any], launcher: str, name: str, ds: str, *, outlet_events: Any
) -> dict[str, Any]:
    """Launch the step; then say which version waits for a human. Airflow gives `outlet_events`."""
    facts = launch(launcher, name, ds)
    if promoted["waits"]:
        said = {"dataset": SETTINGS.dataset, "ds": ds, "version": promoted["waits"]}
        outlet_events[PROPOSED].add(CHALLENGER, extra=said | {"reason": promoted["summary"]})
    return facts


def launching(name: str) -> PythonOperator:
    """The task that launches step `name`."""
    return PythonOperator(task_id=name, python_callable=launch, op_kwargs=WHAT | {"name": name})


def launching_for_each_scorer(name: str, **callable_and_arguments: Any) -> MappedOperator:
    """The mapped task that launches step `name` for each enabled scorer."""
    # A scorer that fails leaves the others their turn; a day that does not train skips all.
    mapped = PythonOperator.partial(
        task_id=name, trigger_rule=TriggerRule.NONE_SKIPPED, **callable_and_arguments
    )
    scorers = SETTINGS.training.scorers
    return mapped.expand(op_kwargs=[WHAT | {"name": name, "scorer": s} for s in scorers])


with DAG(
    dag_id="dayfold_daily",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    # A run before it ends well without a task: no day of anybody's log may lie there.
    start_date=datetime(1970, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"day": Param(None, type=["null", "string"], format="date", title="Processing day")},
    default_args={
        "owner": "data-engineering",
        "retries": 1,
        "retry_delay": timedelta(seconds=10 if SETTINGS.launcher == "subprocess" else 0),
    },
    tags=["dayfold", "tier:1"],
) as dag:
    wait = PythonSensor(
        task_id="wait_for_day",
        python_callable=may_begin,
        op_kwargs={"raw": str(SETTINGS.path(SETTINGS.raw)), "ds": DAY},
        mode="reschedule",
        poke_interval=timedelta(minutes=SETTINGS.schedule.poll_minutes),
        timeout=timedelta(hours=SETTINGS.schedule.wait_hours),
    )
    tasks: dict[str, PythonOperator | MappedOperator] = {
        s.name: launching(s.name)
        for s in STEPS
        if s.name not in {TRAIN, EVALUATE, PROMOTE, PUBLISH}
    }
    decision = tasks[BRANCH_AFTER.name].output
    tasks[TRAIN] = launching_for_each_scorer(
        TRAIN, python_callable=launch_if_decided, op_args=[decision]
    )
    tasks[EVALUATE] = launching_for_each_scorer(EVALUATE, python_callable=launch)
    tasks[PROMOTE] = PythonOperator(
        task_id=PROMOTE,
        python_callable=promote,
        op_args=[decision],
        op_kwargs=WHAT | {"name": PROMOTE},
        outlets=[PROMOTED],
        # It has work when training was skipped, and when a scorer failed.
        trigger_rule=TriggerRule.ALL_DONE,
    )
    tasks[PUBLISH] = PythonOperator(
        task_id=PUBLISH,
        python_callable=publish,
        op_args=[tasks[PROMOTE].output],
        op_kwargs=WHAT | {"name": PUBLISH},
        outlets=[PROPOSED],
    )
    branch = BranchPythonOperator(
        task_id=BRANCH,
        python_callable=choose,
        op_kwargs={
            "facts": decision,
            "when_training": TRAIN,
            "otherwise": PROMOTE,
        },
    )
    wait >> tasks[OPENING.name]
    tasks[BRANCH_AFTER.name] >> branch >> [tasks[TRAIN], tasks[PROMOTE]]
    for earlier, later in sorted(edges()):
        tasks[earlier] >> tasks[later]
