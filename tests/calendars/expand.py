"""Expands calendars with libraries that are not ours, for comparison.

Reads one JSON object a line: {"text": a calendar, "from": a day, "to": a day, "zone": where times without a zone are read}. Writes for each
a JSON array of [summary, start, end], in UTC, in order; or {"error": ...}.
"""

import datetime
import json
import sys
import zoneinfo

import icalendar
import recurring_ical_events


def instant(value, zone):
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    return value.astimezone(datetime.timezone.utc)


def expand(job):
    zone = zoneinfo.ZoneInfo(job["zone"])
    calendar = icalendar.Calendar.from_ical(job["text"])
    days = [datetime.date.fromisoformat(job[name]) for name in ("from", "to")]
    events = recurring_ical_events.of(calendar).between(*days)
    found = set()
    for event in events:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        start, end = (instant(time, zone) for time in (event.start, event.end))
        found.add((str(event.get("SUMMARY", "")), start.strftime("%Y-%m-%dT%H:%M:%SZ"), end.strftime("%Y-%m-%dT%H:%M:%SZ")))
    return sorted(found, key=lambda own: (own[1], own[2], own[0]))


for line in sys.stdin:
    try:
        answer = expand(json.loads(line))
    except Exception as error:  # noqa: BLE001 - said to whoever compares
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
