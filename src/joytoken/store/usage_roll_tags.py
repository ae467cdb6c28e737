"""The caller's tags in their sums, within bounds: what callers name is theirs, and how many rows it makes is not.

Of the tags of a day, so many are summed, and of a tag so many values. What is beyond is marked in `usage_tag`, and is
read from the records by whoever asks for it.
"""

import msgspec
import sqlalchemy as sa

from joytoken.store.schema_rollup import usage_tag, usage_tag_day, usage_tag_hour
from joytoken.store.usage_roll_sql import DAY_HOURS, Texts

OTHERS = ""  # the name of those that came after too many


class TagBounds(msgspec.Struct, frozen=True):
    """Of each day in UTC."""

    names_max: int = 100
    values_max: int = 1_000  # of each tag


TAG_BOUNDS = TagBounds()


def add_tags(conn: sa.Connection, texts: Texts, since: int, upto: int, bounds: TagBounds) -> None:
    """Add these records to the sums of their tags."""
    if not conn.exec_driver_sql(texts.tags, (since, upto)).rowcount:
        return
    days: dict[int, list[str]] = {}
    for day, tag in conn.exec_driver_sql(f"SELECT DISTINCT bucket / {DAY_HOURS}, tag FROM own_tag ORDER BY 1, 2"):  # noqa: S608
        days.setdefault(day, []).append(tag)
    for day, tags in days.items():
        if not _registered(conn, day, tags, bounds.names_max):
            hours = f"bucket >= {day * DAY_HOURS} AND bucket < {(day + 1) * DAY_HOURS}"
            summed = f"SELECT tag FROM usage_tag WHERE bucket = {day} AND summed"  # noqa: S608
            conn.exec_driver_sql(f"DELETE FROM own_tag WHERE {hours} AND tag NOT IN ({summed})")  # noqa: S608
    for text in texts.tags_into:
        conn.exec_driver_sql(text)
    _bound(conn, list(days), bounds.values_max)


def _registered(conn: sa.Connection, day: int, tags: list[str], names_max: int) -> bool:
    """Make the tags of a day known; returns whether all of them are summed."""
    known = {row[0]: row[1] for row in conn.execute(sa.select(usage_tag.c.tag, usage_tag.c.summed).where(_on(day)))}
    room = names_max - len(known.keys() - {OTHERS})
    new = [tag for tag in tags if tag not in known]
    rows = [{"bucket": day, "tag": tag, "summed": True} for tag in new[: max(room, 0)]]
    if len(new) > len(rows) and OTHERS not in known:
        rows.append({"bucket": day, "tag": OTHERS, "summed": False})
    if rows:
        conn.execute(sa.insert(usage_tag), rows)
    return len(new) <= max(room, 0) and all(known.get(tag, True) for tag in tags)


def _on(day: int) -> sa.ColumnElement[bool]:
    return usage_tag.c.bucket == day


def _bound(conn: sa.Connection, days: list[int], values_max: int) -> None:
    """Give up tags that have more values on a day than are summed."""
    part = usage_tag_day.c
    beyond = sa.select(part.tag).where(part.tag == usage_tag.c.tag, part.bucket == usage_tag.c.bucket)
    many = sa.select(usage_tag.c.bucket, usage_tag.c.tag).where(
        usage_tag.c.bucket.in_(days), usage_tag.c.summed, sa.exists(beyond.limit(1).offset(values_max))
    )
    for day, tag in conn.execute(many).all():
        conn.execute(sa.update(usage_tag).where(_on(day), usage_tag.c.tag == tag).values(summed=False))
        conn.execute(sa.delete(usage_tag_day).where(part.tag == tag, part.bucket == day))
        hour = usage_tag_hour.c.bucket
        within = sa.and_(hour >= day * DAY_HOURS, hour < (day + 1) * DAY_HOURS)
        conn.execute(sa.delete(usage_tag_hour).where(usage_tag_hour.c.tag == tag, within))
