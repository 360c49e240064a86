"""The day.

Folds one day's logs into the recommender: clean, encode, build features and examples, let the
champion score the day, decide about drift, train and gate candidates if need be, publish lists.

One run = one processing day: `{{ params.day or ds }}`. A task launches `dayfold step NAME --ds D`
(launcher `subprocess`) or the same code in this process (launcher `inline`); every task may be
cleared and run again. A day refuses to run while an earlier day is open (`open_day`); a scorer
that fails does not stop the lists.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, TriggerRule, task_group

from conf.settings import load_settings
from dayfold.day import BRANCH_AFTER, STEPS, edges
from dayfold.launch import launch, launch_if_decided

SETTINGS = load_settings()
DAY = "{{ params.day or ds }}"
BRANCH = "branch_on_drift"
PROMOTE = "promote"


def choose(facts: dict[str, object], when_training: str, otherwise: str) -> str:
    """The task that follows the drift decision."""
    return when_training if facts["train"] else otherwise


def launching(name: str, scorer: object = None) -> PythonOperator:
    """The task that launches step `name`."""
    return PythonOperator(
        task_id=name,
        python_callable=launch,
        op_kwargs={"launcher": SETTINGS.launcher, "name": name, "ds": DAY, "scorer": scorer},
    )


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

    @task_group
    def candidate(scorer: str) -> None:
        """One scorer's candidate: its mapped steps, one after the other."""
        previous = None
        for step in (s for s in STEPS if s.mapped):
            current = launching(step.name, scorer)
            if previous is not None:
                previous >> current
            previous = current

    candidates = candidate.expand(scorer=list(SETTINGS.training.scorers))
    tasks = {s.name: launching(s.name) for s in STEPS if not s.mapped and s.name != PROMOTE}
    tasks[PROMOTE] = PythonOperator(
        task_id=PROMOTE,
        python_callable=launch_if_decided,
        op_kwargs={
            "launcher": SETTINGS.launcher,
            "name": PROMOTE,
            "ds": DAY,
            "decision": tasks[BRANCH_AFTER.name].output,
        },
        # It has work when training was skipped, and when a scorer failed.
        trigger_rule=TriggerRule.ALL_DONE,
    )
    mapped = {step.name for step in STEPS if step.mapped}
    branch = BranchPythonOperator(
        task_id=BRANCH,
        python_callable=choose,
        op_kwargs={
            "facts": tasks[BRANCH_AFTER.name].output,
            "when_training": "candidate.train",
            "otherwise": PROMOTE,
        },
    )
    tasks[BRANCH_AFTER.name] >> branch >> [candidates, tasks[PROMOTE]]
    for earlier, later in sorted(edges()):
        if earlier in mapped and later in mapped:
            continue
        upstream = candidates if earlier in mapped else tasks[earlier]
        downstream = candidates if later in mapped else tasks[later]
        upstream >> downstream
