# A client of blast-api, with curl: every request of its document, and what is answered. Stops at the first surprise.
# In the environment: url of the server, key with the right to send shouts, phone (the path of a handset that speaks).
set -euo pipefail

# expect STATUS WHAT ARGUMENTS-OF-CURL: the status, and the body: as it stands, or "jq:" and what jq has to say true of.
expect() {
    local status=$1 what=$2 got
    shift 2
    got=$(curl -sS -o body -w '%{http_code}' -H "X-Api-Key: $key" "$@")
    if [[ $got != "$status" ]]; then
        echo "$*: status $got, not $status: $(cat body)" >&2
        exit 1
    fi
    case $what in
    jq:*) jq -e "${what#jq:}" body >/dev/null || { echo "$*: ${what#jq:}: $(cat body)" >&2; exit 1; } ;;
    *) [[ $(cat body) == "$what" ]] || { echo "$*: not $what: $(cat body)" >&2; exit 1; } ;;
    esac
}

api=$url/api/v1
json='Content-Type: application/json'
shout() {
    curl -sSf -H "X-Api-Key: $key" -H "$json" "$api/shouts" -d "$1" | jq .id
}

# --- POST /shouts: the keys in their order, three ways to write it ---
keys='id created caller status title schedule userdata recipients voc recipients_requested_dnc'
expect 200 "jq:keys_unsorted == (\"$keys\" | split(\" \")) and (.id | type) == \"number\" and .status == \"pending\" and .title == null" \
    -H "$json" "$api/shouts" -d '{"userdata": "u1", "caller": "18800000001", "recipients": ["18712345678"]}'
pending=$(jq .id body)
expect 200 'jq:.recipients == ["18712345678", "13911112222"]' \
    "$api/shouts" --data-urlencode userdata=form --data-urlencode caller=18800000001 -d recipients=18712345678 -d recipients=13911112222
# Else their caller is rung, to speak the message.
expect 201 '' -X DELETE "$api/shouts/$(jq .id body);cancel"
expect 200 'jq:.title == "Storm" and (.recipients | length) == 1' \
    "$api/shouts" -F userdata=parts -F caller=18800000001 -F recipients=18712345678 -F title=Storm
expect 201 '' -X DELETE "$api/shouts/$(jq .id body);cancel"

# --- What is refused, in its words; nothing is left behind ---
expect 404 '"You have to specify userdata"' -H "$json" "$api/shouts" -d '{"caller": "1", "recipients": ["18712345678"]}'
expect 404 '"You have to specify at least one recipient"' -H "$json" "$api/shouts" -d '{"userdata": "none", "caller": "1"}'
expect 400 'jq:type == "string" and contains("RFC 3339") and contains("tomorrow")' \
    -H "$json" "$api/shouts" -d '{"userdata": "none", "caller": "1", "recipients": ["18712345678"], "schedule": "tomorrow"}'
expect 404 'jq:fromjson | .status == 404 and (.error | contains("999999"))' \
    -H "$json" "$api/shouts" -d '{"userdata": "none", "caller": "1", "recipients": ["18712345678"], "old-shout-id": 999999}'
expect 400 'jq:.detail | startswith("JSON parse error")' -H "$json" "$api/shouts" -d '{"userdata": '
expect 415 'jq:has("detail")' -H 'Content-Type: text/csv' "$api/shouts" -d 'a,b'
expect 200 'jq:. == []' "$api/shouts?userdata=none"

# --- GET ---
expect 200 "jq:map(.id) == [$pending]" "$api/shouts?userdata=u1"
expect 404 '"User data is required"' "$api/shouts"
expect 200 "jq:.id == $pending" "$api/shouts/$pending"
expect 404 '{"detail":"Not found."}' "$api/shouts/999999"
expect 404 '"shout-id is a required parameter"' "$api/calls"
expect 404 'jq:has("detail")' "$api/calls?shout-id=999999"
expect 200 'jq:.[0] | keys_unsorted == ["id", "started", "finished", "shout_id", "phone", "status"]' "$api/calls?shout-id=$pending"

# --- Methods ---
expect 405 'jq:.detail == "Method \"PUT\" not allowed."' -X PUT "$api/shouts"
expect 405 'jq:has("detail")' -X DELETE "$api/shouts/$pending"
[[ $(curl -sS -I -o head -w '%{http_code}' -H "X-Api-Key: $key" "$api/shouts?userdata=u1") == 405 ]]
expect 200 'jq:type == "object"' -X OPTIONS "$api/shouts"

# --- Taken back, as often as one likes ---
expect 201 '' -X DELETE "$api/shouts/$pending;cancel"
expect 201 '' -X DELETE "$api/shouts/$pending%3Bcancel"
expect 404 'jq:has("detail")' -X DELETE "$api/shouts/999999;cancel"
expect 200 'jq:.status == "canceled"' "$api/shouts/$pending"
expect 200 'jq:map(.status) == ["cancelled"]' "$api/calls?shout-id=$pending"

# --- A message goes out: one hears it, one is busy, one opts out, one number is none ---
handset() {
    curl -sSf -H 'autocall-protocol: 1' "$@"
}
handset "$url$phone/status" -H "$json" \
    -d '{"capabilities": ["hangup", "dtmf", "tts", "machine", "record"], "backend": "sip", "channels": 1}' >/dev/null
sent=$(shout '{"userdata": "school", "message": "Closed today.", "language": "en",
    "recipients": ["18712345678", "13911112222", "13922223333", "nobody"]}')
for _ in 1 2 3; do
    until handset "$url$phone/alert/phone?channel=0&wait=5" >offer && jq -e '.code == 0' offer >/dev/null; do :; done
    mid=$(jq -r .mid offer)
    number=$(jq -r '.phone[0]' offer)
    case $number in
    *18712345678) calls='{"outcome": "answered", "talk_seconds": 9, "machine": "human"}' resp=$number ;;
    *13911112222) calls='{"outcome": "busy", "talk_seconds": 0}' resp= ;;
    *)
        pressed='{"state": "connected", "event": "key", "key": "5", "action": "stop_calling", "seq": 1}'
        handset "$url$phone/progress?mid=$mid" -H "$json" -d "$(jq -nc --arg number "$number" --argjson key "$pressed" '{number: $number} + $key')" >/dev/null
        calls='{"outcome": "answered", "keys": "5", "action": "stop_calling", "declined": true, "talk_seconds": 4}' resp=$number
        ;;
    esac
    handset "$url$phone/alert/phone?mid=$mid${resp:+&resp=${resp/+/%2B}}" -H "$json" \
        -d "$(jq -nc --arg number "$number" --argjson call "$calls" '{calls: [{number: $number} + $call]}')" >/dev/null
done
until [[ $(curl -sSf -H "X-Api-Key: $key" "$api/shouts/$sent" | jq -r .status) == finished ]]; do sleep 0.2; done
expect 200 'jq:map(.status) == ["completed", "busy", "added to do not call", "failed"]' "$api/calls?shout-id=$sent"
expect 200 'jq:.status == "finished" and .recipients_requested_dnc' "$api/shouts/$sent"

# --- Who opted out is called no more, until they may be again ---
expect 200 'jq:map(.number) == ["13922223333"]' "$api/dnc/school"
expect 200 'jq:. == []' "$api/dnc/other"
again=$(shout '{"userdata": "school", "message": "Open again.", "recipients": ["13922223333"]}')
expect 200 'jq:.status == "canceled"' "$api/shouts/$again"
expect 200 'jq:map(.status) == ["do not call"]' "$api/calls?shout-id=$again"
expect 201 '' -X DELETE "$api/dnc/school/13922223333"
expect 200 '"There is no such combination of userdata and number"' -X DELETE "$api/dnc/school/13922223333"

# --- The same message once more, later ---
expect 200 'jq:.status == "scheduled" or .status == "ready"' -H "$json" "$api/shouts" \
    -d "{\"userdata\": \"school\", \"caller\": \"1\", \"recipients\": [\"18712345678\"], \"old-shout-id\": $sent, \"schedule\": \"$(date -u -d '+1 hour' +%FT%TZ)\"}"
expect 201 '' -X DELETE "$api/shouts/$(jq .id body);cancel"

# --- A wrong key ---
key=wrong expect 401 'jq:has("detail")' "$api/shouts?userdata=u1"
echo "all as documented"
