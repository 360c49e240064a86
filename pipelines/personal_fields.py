"""Declared personal fields of raw records: gone, starred or truncated before anything else.

What is personal by declaration is taken out of a record as soon as it has fields: no later step,
no hash and no window sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.personal import Personal
from pipelines.masking import MASK

_STARRED = "starred_"
_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"^(?:::ffff:)?{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}$"
_IPV6 = r"^[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,8}$"
_IPV6_GROUPS = 8
_KEPT_GROUPS = 3
_LEADING_ZEROS = r"^0+(?=.)"
_LAST_ZEROS = r"(^|:)0(:0)*$"


def read_fields(declared: Sequence[str], personal: Personal) -> tuple[str, ...]:
    """The fields to read of a raw row: the `declared` ones that are kept, and the starred."""
    kept = [name for name in declared if name not in personal.drop]
    return tuple(dict.fromkeys([*kept, *personal.starred]))


def without_personal(records: DataFrame, declared: Sequence[str], personal: Personal) -> DataFrame:
    """`records` with every declared field, the personal ones protected.

    Beside them a column says for each starred field whether it was there (`starred_cells`).
    """
    if not personal.drop and not personal.starred:
        return records
    fields = read_fields(declared, personal)
    others = [name for name in records.columns if name not in fields]
    present = {name: F.trim(F.col(name)) != "" for name in personal.starred}
    return records.select(
        *others,
        *(_protected(name, personal).alias(name) for name in declared),
        *(F.when(there, F.lit(MASK)).alias(_STARRED + name) for name, there in present.items()),
    )


def starred_cells(personal: Personal) -> dict[str, Column]:
    """What a quarantined line shows of the starred fields of `without_personal`."""
    return {name: F.col(_STARRED + name) for name in personal.starred}


def shown_fields(declared: Sequence[str], personal: Personal) -> list[str]:
    """The `declared` fields that a quarantined line may show as they are."""
    hidden = {*personal.drop, *personal.starred}
    return [name for name in declared if name not in hidden]


def _protected(name: str, personal: Personal) -> Column:
    if name in personal.unread:
        return F.lit(None).cast("string")
    return truncated_ip(F.col(name)) if name in personal.truncate_ip else F.col(name)


def truncated_ip(text: Column) -> Column:
    """The network of an IP address: /24 of IPv4, /48 of IPv6; null for anything else.

    `203.0.113.9` gives `203.0.113.0/24`, `2001:db8:1:2::7` gives `2001:db8:1::/48`; an IPv4
    address written as IPv6 (`::ffff:203.0.113.9`) counts as IPv4.
    """
    address = F.lower(F.trim(text))
    octets: list[Literal[1, 2, 3]] = [1, 2, 3]
    ipv4 = F.concat_ws(".", *(F.regexp_extract(address, _IPV4, n) for n in octets), F.lit("0/24"))
    return F.when(address.rlike(_IPV4), ipv4).when(address.rlike(_IPV6), _ipv6_network(address))


def _ipv6_network(address: Column) -> Column:
    """The /48 of what looks like an IPv6 address, null if it is none."""
    halves = F.split(address, "::")
    left, right = _groups(F.get(halves, 0)), _groups(F.coalesce(F.get(halves, 1), F.lit("")))
    missing = F.lit(_IPV6_GROUPS) - F.size(left) - F.size(right)
    shortened = F.size(halves) > 1
    zeros = F.array_repeat(F.lit("0"), F.greatest(missing, F.lit(0)))
    kept = F.slice(F.concat(left, zeros, right), 1, _KEPT_GROUPS)
    plain = F.transform(kept, lambda group: F.regexp_replace(group, _LEADING_ZEROS, ""))
    network = F.concat(F.regexp_replace(F.array_join(plain, ":"), _LAST_ZEROS, ""), F.lit("::/48"))
    no_gaps = ~F.array_contains(F.concat(left, right), "")
    whole = F.when(shortened, missing >= 1).otherwise(missing == 0)
    return F.when((F.size(halves) <= 2) & no_gaps & whole, network)  # noqa: PLR2004


def _groups(half: Column) -> Column:
    """The groups of one side of `::`; none where there is nothing."""
    return F.when(half == "", F.array().cast("array<string>")).otherwise(F.split(half, ":"))
