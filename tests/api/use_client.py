"""Uses the generated Python client as somebody would who knows the description and not the server: use_client.py FOLDER ADDRESS"""

import sys

sys.path.insert(0, sys.argv[1])

from made import Client
from made.api.alarms import alarms_acknowledge, alarms_add, alarms_cancel, alarms_list, alarms_show
from made.api.heartbeats import heartbeats_add, heartbeats_put, heartbeats_show
from made.api.policies import policies_put, policies_show
from made.api.roster import teams_add, teams_list, teams_put, teams_remove, teams_show
from made.models import (
    AcknowledgeBody,
    AlarmBody,
    AlarmBodyLabelsType0,
    AlarmState,
    CancelBody,
    HeartbeatBody,
    NamedNumber,
    NewTeamForm,
    PolicyBody,
    Priority,
    Problem,
    StepBody,
    TeamForm,
)

client = Client(base_url=sys.argv[2], raise_on_unexpected_status=True)

labels = AlarmBodyLabelsType0.from_dict({"host": "db1"})
body = AlarmBody(summary="disk full", phones=["18712345678"], labels=labels, priority=Priority.HIGH)
made = alarms_add.sync(client=client, body=body)
assert made.state is AlarmState.WAITING and made.answer is None, made
shown = alarms_show.sync(client=client, id=str(made.id))
assert shown.callees[0].phone_number == "+8618712345678" and shown.labels["host"] == "db1", shown
confirmed = alarms_acknowledge.sync(client=client, id=str(made.id), body=AcknowledgeBody(name="Ann"))
assert confirmed.state is AlarmState.ANSWERED and confirmed.answer.name == "Ann", confirmed
called_off = alarms_cancel.sync(client=client, id=str(made.id), body=CancelBody(by="Ann"))
assert called_off.state is AlarmState.CANCELLED, called_off
over = alarms_acknowledge.sync(client=client, id=str(made.id), body=AcknowledgeBody(name="Ann"))
assert isinstance(over, Problem) and over.code.value == "alarm_is_over", over
listed = alarms_list.sync(client=client, state=[AlarmState.CANCELLED, AlarmState.RESOLVED])
assert [alarm.id for alarm in listed.items] == [made.id] and listed.next_cursor is None, listed

wrong = alarms_add.sync(client=client, body=AlarmBody(summary="disk full", phones=["110", "187#1"], attempts=11))
assert isinstance(wrong, Problem) and wrong.type_ == "/api/problems#invalid_field", wrong
assert {fault.pointer for fault in wrong.errors} == {"/phones/0", "/phones/1", "/attempts"}, wrong

team = teams_add.sync(client=client, body=NewTeamForm(name="ops"))
changed = teams_put.sync(client=client, team="ops", body=TeamForm(name="operations"), if_match=f'"{team.version}"')
assert changed.name == "operations" and changed.id == team.id, changed
stale = teams_put.sync(client=client, team="operations", body=TeamForm(name="ops"), if_match=f'"{team.version}"')
assert isinstance(stale, Problem) and stale.status == 412, stale
assert [one.name for one in teams_list.sync(client=client).items] == ["operations"]
assert teams_remove.sync_detailed(client=client, team="operations").status_code == 204
assert teams_show.sync(client=client, team="operations").code.value == "not_found"

policy = PolicyBody(steps=[StepBody(ring=[NamedNumber(number="18712345678")])])
policies_put.sync(client=client, name="night", body=policy)
assert policies_show.sync(client=client, name="night").steps[0].ring[0].number == "+8618712345678"

beat = heartbeats_add.sync(client=client, body=HeartbeatBody(name="backup", period_seconds=60, phones=["18712345678"]))
assert beat.ping_path.startswith("/api/v1/heartbeat/"), beat
heartbeats_put.sync(client=client, id="backup", body=HeartbeatBody(name="backup", period_seconds=90, phones=["18712345678"]))
assert heartbeats_show.sync(client=client, id="backup").period_seconds == 90
