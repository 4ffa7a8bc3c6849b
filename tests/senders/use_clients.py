"""Sends alarms with clients that others wrote, each told only where the server is: use_clients.py pdpyras|opsgenie|apprise URL KEY

What a client understands of the answers is printed as one JSON object.
"""

import json
import sys

program, url, key = sys.argv[1:]


def pagerduty():
    import pdpyras

    session = pdpyras.EventsAPISession(key)
    session.url = url
    # The client's own word for the answer: it fails where that holds no key.
    own = session.trigger("Disk full", "db1", severity="critical", custom_details={"free": "1 %"})
    named = session.trigger("Disk full", "db1", dedup_key="db1/disk", severity="error")
    again = session.trigger("Disk still full", "db1", dedup_key="db1/disk", severity="error")
    session.acknowledge("db1/disk")
    session.resolve("db1/disk")
    session.resolve("never was")
    wrong = pdpyras.EventsAPISession("0" * 32)
    wrong.url = url
    try:
        wrong.trigger("Disk full", "db1")
        refused = None
    except pdpyras.PDClientError as error:
        refused = error.response.status_code
    return {"own": own, "named": named, "again": again, "refused": refused}


def opsgenie():
    import opsgenie_sdk
    from opsgenie_sdk.exceptions import AuthenticationException

    def api(key):
        config = opsgenie_sdk.Configuration()
        config.host = url
        config.retry_count = 1
        config.api_key["Authorization"] = key
        return opsgenie_sdk.AlertApi(opsgenie_sdk.ApiClient(configuration=config))

    alerts = api(key)
    alert = opsgenie_sdk.CreateAlertPayload(
        message="Disk full", alias="db1/disk", description="99 %", tags=["db"], details={"host": "db1"}, priority="P1"
    )
    created = alerts.create_alert(create_alert_payload=alert)
    status = alerts.get_request_status(created.request_id)
    alerts.create_alert(create_alert_payload=alert)
    shown = alerts.get_alert(identifier="db1/disk", identifier_type="alias")
    note = opsgenie_sdk.AddNoteToAlertPayload(user="Li Na", note="on my way")
    alerts.add_note(identifier="db1/disk", identifier_type="alias", add_note_to_alert_payload=note)
    word = opsgenie_sdk.AcknowledgeAlertPayload(user="Li Na", note="on it")
    alerts.acknowledge_alert(identifier="db1/disk", identifier_type="alias", acknowledge_alert_payload=word)
    taken = alerts.get_alert(identifier=status.data.alert_id, identifier_type="id")
    closed = alerts.close_alert(identifier="db1/disk", identifier_type="alias")
    ended = alerts.get_request_status(closed.request_id)
    nothing = alerts.get_request_status(alerts.close_alert(identifier="never was", identifier_type="alias").request_id)
    try:
        api("0" * 32).create_alert(create_alert_payload=alert)
        refused = None
    except AuthenticationException as error:
        refused = error.status
    return {
        "result": created.result,
        "created": status.data.is_success,
        "alert": status.data.alert_id,
        "shown": [shown.data.status, shown.data.priority],
        "acknowledged": [shown.data.acknowledged, taken.data.acknowledged],
        "closed": ended.data.is_success,
        "nothing": nothing.data.is_success,
        "refused": refused,
    }


def apprise():
    import apprise

    # The key is the password: without one, apprise writes None. What follows a colon is a field of the message.
    target = url.replace("http://", f"json://autocall:{key}@") + "/api/v1/intake/generic?:dedup_key=db1/disk"
    said = apprise.Apprise()
    assert said.add(target)
    told = said.notify(title="Disk full", body="99 % on db1", notify_type=apprise.NotifyType.FAILURE)
    wrong = apprise.Apprise()
    assert wrong.add(target.replace(key, "0" * 32))
    refused = wrong.notify(title="Disk full", body="99 % on db1", notify_type=apprise.NotifyType.FAILURE)
    over = said.notify(title="Disk full", body="62 % on db1", notify_type=apprise.NotifyType.SUCCESS)
    return {"told": bool(told), "refused": not refused, "over": bool(over)}


print(json.dumps({"pdpyras": pagerduty, "opsgenie": opsgenie, "apprise": apprise}[program]()))
