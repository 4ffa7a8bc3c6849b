// Sends with Uptime Kuma's own notification for webhooks: kuma.js WEBHOOK.JS URL KEY
//
// Its test, a monitor that goes down and comes back, both forms of a body, and a wrong key. What it says of each is printed as one JSON object.
const [provider, url, key] = process.argv.slice(2);
const Webhook = require(provider);

const monitor = { id: 7, name: "shop", url: "https://shop.example", hostname: null, type: "http", tags: [{ name: "team", value: "web" }] };
const time = () => new Date().toISOString().replace("T", " ").replace("Z", "");
const beat = (status, msg) => ({ monitorID: 7, status, time: time(), msg, ping: null, important: true, duration: 60 });

async function sends(kind, by, text, monitor, heartbeat) {
    const notification = { webhookURL: `${url}${by}/api/v1/intake/kuma`, webhookContentType: kind };
    try {
        return await new Webhook().send(notification, text, monitor, heartbeat);
    } catch (error) {
        return error.message;
    }
}

async function all() {
    const path = `/k/${key}`;
    const down = () => beat(0, "timeout");
    return {
        test: await sends("json", path, "My notification Testing"),
        down: await sends("json", path, "[shop] [🔴 Down] timeout", monitor, down()),
        again: await sends("form-data", path, "[shop] [🔴 Down] timeout", monitor, down()),
        refused: await sends("json", "/k/wrong", "[shop] [🔴 Down] timeout", monitor, down()),
        up: await sends("json", path, "[shop] [✅ Up] 200 - OK", monitor, beat(1, "200 - OK")),
    };
}

all().then((done) => console.log(JSON.stringify(done)));
