"""Declared personal fields: dropped, starred or truncated, in clean rows and in rejected ones."""

from __future__ import annotations

import csv
import ipaddress
import json
import random
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from conf.dataset import Attribute
from conf.personal import Personal
from feature_store.tables import EVENTS, PROFILES, QUARANTINE, TABLES
from pipelines.personal_fields import truncated_ip
from tests.dayfold.forget_fixture import files_naming
from tests.pipelines.workbench import MONDAY, Row, Workbench, event

pytestmark = pytest.mark.spark

Bench = Callable[..., Workbench]
NOON = f"{MONDAY} 12:00"
SECRETS = ("a.berg@example.org", "203.0.113.77", "2001:db8:77::9", "PIN-4711", "Main-Street-5")
EVENT: Row = event(NOON, "anna-0001", "i1", device="phone") | {
    "mail": SECRETS[0],
    "ip": SECRETS[1],
    "home_ip": SECRETS[2],
    "pin": SECRETS[3],
}


def declared(bench: Bench) -> Workbench:
    """`ip` and `mail` are context, `home_ip` and `pin` nothing, `street` a profile's attribute."""
    return bench(
        context=("device", "ip", "mail"),
        user_attributes=(
            Attribute(name="gender", kind="categorical"),
            Attribute(name="street", kind="categorical"),
            Attribute(name="interests", kind="multi"),
        ),
        item_attributes=(Attribute(name="seller", kind="categorical"),),
        personal=Personal(
            drop=("pin", "interests"),
            mask=("mail", "street", "seller"),
            truncate_ip=("ip", "home_ip"),
        ),
    )


def no_secret_is_left(shop: Workbench) -> None:
    for secret in SECRETS:
        assert files_naming(shop.lake.root, secret) == [], secret


def network_of(text: str) -> str | None:
    """What an independent parser takes for the address's network."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None or "." not in text:
            return str(ipaddress.ip_network(f"{address}/48", strict=False))
        address = address.ipv4_mapped
    return str(ipaddress.ip_network(f"{address}/24", strict=False))


def addresses() -> list[str]:
    dice = random.Random(5)
    four = [str(ipaddress.IPv4Address(dice.getrandbits(32))) for _ in range(50)]
    few = (0, 0, 0, 1, 0xAB, 0xFFFF)
    groups = [[f"{dice.choice(few):x}" for _ in range(8)] for _ in range(200)]
    six = [str(ipaddress.IPv6Address(":".join(group))) for group in groups]
    long = [":".join(part.zfill(4).upper() for part in group) for group in groups[:50]]
    odd = [
        *("::", "::1", "1::", "2001:db8::", " 203.0.113.9 ", "::ffff:203.0.113.9", "9.0.0.0"),
        *("256.1.1.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4:80", "host", "", ":", ":::"),
        *("1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:2:3:4::5:6:7:8", "12345::", "g::1"),
        *(":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:::2"),
    ]
    return [*four, *six, *long, *odd]


def test_an_address_becomes_its_network_as_another_parser_has_it(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(text,) for text in addresses()], "ip string")
    found = {
        r["ip"]: r["net"]
        for r in rows.select("ip", truncated_ip(F.col("ip")).alias("net")).collect()
    }
    wrong = {ip: (net, network_of(ip)) for ip, net in found.items() if net != network_of(ip)}
    assert wrong == {}
    assert sum(net is not None for net in found.values()) > 250


def test_clean_rows_have_the_network_and_nothing_of_what_is_dropped_or_masked(bench: Bench) -> None:
    shop = declared(bench)
    profile = {
        "user_id": "anna-0001",
        "updated_at": f"{MONDAY}T00:00:00Z",
        "gender": "female",
        "street": SECRETS[4],
        "interests": [SECRETS[0]],
    }
    item = {"item_id": "i1", "updated_at": f"{MONDAY}T00:00:00Z", "seller": SECRETS[4]}
    shop.write(MONDAY, [EVENT], [profile], [item])
    shop.run_all(MONDAY)
    (clean,) = shop.rows(EVENTS)
    assert dict(clean["context"]) == {"device": "phone", "ip": "203.0.113.0/24"}
    (user,) = shop.rows(PROFILES)
    assert (user["attr_gender"], user["attr_street"], user["attr_interests"]) == (
        "female",
        None,
        None,
    )
    assert shop.lake.read(TABLES[2], [MONDAY]).column("attr_seller").to_pylist() == [None]
    no_secret_is_left(shop)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_rejected_rows_show_stars_also_where_the_line_cannot_be_read(
    bench: Bench, suffix: str
) -> None:
    shop = declared(bench)
    hover = EVENT | {"event_type": "hover"}
    bots = [EVENT | {"event_id": f"b{n}"} for n in range(9)]
    path = shop.folder("events", MONDAY) / f"part-0.{suffix}"
    if suffix == "jsonl":
        lines = [json.dumps(row) for row in (hover, *bots)]
        path.write_text("\n".join([*lines, json.dumps(EVENT) + " retry", json.dumps(EVENT)[:-9]]))
    elif suffix == "csv":
        with path.open("w") as file:
            table = csv.DictWriter(file, list(bots[0]))
            table.writeheader()
            table.writerows([hover, *bots])
            file.write(",".join([*SECRETS] * 5) + '"x\n')
    else:
        pq.write_table(pa.Table.from_pylist([hover | {"event_id": "h"}, *bots]), path)
    (path.parent / "_SUCCESS").touch()
    shop.run("clean_events", MONDAY)
    lines_of = {row["reason"]: row["masked_line"] for row in shop.rows(QUARANTINE)}
    assert set(lines_of) >= {"unknown_event_type", "bot"}
    shown = json.loads(lines_of["unknown_event_type"])
    assert (shown["ip"], shown["home_ip"], shown["mail"], shown["user_id"]) == ("***",) * 4
    assert "pin" not in shown
    assert shown["device"] == "phone"
    assert dict(json.loads(lines_of["bot"])["context"]) == {"device": "phone", "ip": "***"}
    no_secret_is_left(shop)


def test_the_hash_that_tells_duplicates_knows_no_personal_field(bench: Bench) -> None:
    shop = declared(bench)
    shop.write(MONDAY, [EVENT, EVENT | {"mail": "x@y.z", "ip": "203.0.113.78"}])
    shop.run("clean_events", MONDAY)
    assert len(shop.rows(EVENTS)) == 1
    assert [row["reason"] for row in shop.rows(QUARANTINE)] == ["duplicate"]
