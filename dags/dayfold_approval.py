"""A human's word on a new champion.

Begins when a day has published and its winner waits (`promotion.approval: required`). Task `ask`
waits, without holding a worker, until somebody answers under "Required Actions": Approve or Reject,
and why. Task `answer` does it: `dayfold approve VERSION`, which makes the day's lists again and
says so by an event of `dayfold://<dataset>/champion`, as a promotion does; or `dayfold reject`.

The same two commands on the command line do as well: an answer that comes later then fails and says
who was faster. So does one to a version whose place a later day's has taken.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset, AssetAlias, Param

from conf.settings import load_settings
from dayfold.launch import launch_answer

SETTINGS = load_settings()
PROMOTED, CHAMPION = (
    AssetAlias("dayfold_promotion"),
    Asset(f"dayfold://{SETTINGS.dataset}/champion"),
)
CHALLENGER = Asset(f"dayfold://{SETTINGS.dataset}/challenger")
APPROVE, REJECT = "Approve", "Reject"


def newest_proposal(*, triggering_asset_events: Any) -> dict[str, Any]:
    """What the newest event says of the version that waits. Airflow gives the events."""
    events = triggering_asset_events[CHALLENGER]
    newest: dict[str, Any] = max((event.extra for event in events), key=lambda extra: extra["ds"])
    return newest


def do_answer(
    proposed: dict[str, Any], answered: dict[str, Any], *, outlet_events: Any
) -> dict[str, Any]:
    """Do what the human said. Airflow gives `outlet_events`."""
    approved = answered["chosen_options"] == [APPROVE]
    user = answered["responded_by_user"] or {}
    reason = str(answered["params_input"].get("reason") or "").strip()
    facts = launch_answer(
        "approve" if approved else "reject",
        proposed["version"],
        reason or "answered in Airflow, without a reason",
        str(user.get("name") or "airflow"),
    )
    if approved:
        said = {"dataset": SETTINGS.dataset} | {k: facts[k] for k in ("ds", "version", "scorer")}
        outlet_events[PROMOTED].add(CHAMPION, extra=said)
    return facts


with DAG(
    dag_id="dayfold_approval",
    doc_md=__doc__,
    schedule=[CHALLENGER],
    start_date=datetime(1970, 1, 1),
    catchup=False,
    default_args={"owner": "ml-engineering", "retries": 1},
    tags=["dayfold", "tier:1"],
) as dag:
    proposal = PythonOperator(task_id="proposal", python_callable=newest_proposal)
    what = "ti.xcom_pull(task_ids='proposal')"
    ask = HITLOperator(
        task_id="ask",
        subject=f"{SETTINGS.dataset}: version {{{{ {what}['version'] }}}} waits for approval",
        body=f"{{{{ {what}['ds'] }}}}: {{{{ {what}['reason'] }}}}",
        options=[APPROVE, REJECT],
        # Airflow checks the default before it asks: it cannot be demanded here
        params={"reason": Param("", type="string", title="Why")},
    )
    answer = PythonOperator(
        task_id="answer",
        python_callable=do_answer,
        op_args=[proposal.output, ask.output],
        outlets=[PROMOTED],
    )
    proposal >> ask >> answer
