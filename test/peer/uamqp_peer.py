"""What the IoT extension of az does over AMQP, call by call, on Debian's python3-uamqp (its
azext_iot/monitor/event.py and telemetry.py). What to do comes as JSON on standard input; what came
of it goes as lines of JSON to standard output."""
import asyncio
import base64
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.parse

import certifi

TASK = json.load(sys.stdin)
certifi.where = lambda: TASK["ca"]  # az trusts the system's CAs, among them ours
# pylint: disable=wrong-import-position,wrong-import-order,import-error
import uamqp


def say(**what):
    print(json.dumps(what), flush=True)


def endpoint():
    """POLICY@sas.root.HUB and a token for the hub, as user and password of a URL."""
    host, se = TASK["host"], str(int(time.time()) + 360)
    mac = hmac.new(base64.b64decode(TASK["key"]), (host + "\n" + se).encode(), hashlib.sha256)
    token = "SharedAccessSignature " + urllib.parse.urlencode(
        {"sr": host, "sig": base64.b64encode(mac.digest()), "se": se, "skn": TASK["policy"]})
    user = "%s@sas.root.%s" % (TASK["policy"], host.split(".", maxsplit=1)[0])
    return "amqps://%s:%s@%s" % (urllib.parse.quote(user, safe=""),
                                 urllib.parse.quote(token, safe=""), host)


def c2d():
    props = uamqp.message.MessageProperties()
    props.to = "/devices/%s/messages/devicebound" % TASK["device"]
    props.message_id = TASK["id"]
    props.content_encoding = "utf-8"
    props.content_type = "application/json"
    message = uamqp.Message(body=TASK["body"].encode(), properties=props,
                            application_properties={"iothub-ack": "full", "colour": "blue"})
    client = uamqp.SendClient(target=endpoint() + "/messages/devicebound", client_name="az")
    client.queue_message(message)
    say(states=[s.name for s in client.send_all_messages()])


def feedback():
    client = uamqp.ReceiveClient(source=endpoint() + "/messages/servicebound/feedback",
                                 client_name="az")
    for message in client.receive_messages_iter():
        rows = json.loads(str(next(message.get_data()), "utf8"))
        say(feedback=rows)
        if TASK["id"] in [r["originalMessageId"] for r in rows]:
            message.accept()
            break
    client.close()


def plain(value):
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    return str(value, "utf8") if isinstance(value, bytes) else value


async def read(connection, auth):
    source = uamqp.address.Source("amqps://%s/%s/ConsumerGroups/$Default/Partitions/%s" % (
        TASK["host"], TASK["path"], TASK["partition"]))
    source.set_filter(("amqp.annotation.x-opt-enqueuedtimeutc > %d" % TASK["since"]).encode())
    client = uamqp.ReceiveClientAsync(source, auth=auth, timeout=TASK["timeout"] * 1000,
                                      prefetch=0, client_name="az")
    await client.open_async(connection=connection)
    say(open=True)
    try:
        async for message in client.receive_messages_iter_async():
            say(event=str(next(message.get_data()), "utf8"),
                annotations=plain(message.annotations),
                application=plain(message.application_properties or {}),
                content_type=plain(message.properties.content_type))
    finally:
        await client.close_async()


async def monitor():
    auth = uamqp.authentication.SASTokenAsync.from_shared_access_key(
        "sb://%s/%s" % (TASK["host"], TASK["path"]), TASK["policy"], TASK["key"])
    async with uamqp.ConnectionAsync(TASK["host"], sasl=auth, container_id="az", properties={
            "product": "az", "version": "1", "framework": "Python", "platform": "linux"}) as link:
        await read(link, auth)


if __name__ == "__main__":
    try:
        if TASK["do"] == "monitor":
            asyncio.new_event_loop().run_until_complete(monitor())
        else:
            {"c2d": c2d, "feedback": feedback}[TASK["do"]]()
        say(end=True)
    except Exception as e:  # pylint: disable=broad-except
        say(failed=type(e).__name__, text=str(e)[:300])
    sys.stdout.flush()
    os._exit(0)
