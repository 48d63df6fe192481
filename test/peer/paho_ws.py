"""One device on paho over WebSocket, set up as the Azure SDK for Python does it (TLS 1.2, clean
session 0): connects, sends an event at QoS 1, says goodbye. What to do comes as JSON on standard
input; what came of it goes as one JSON line to standard output.
"""
import json
import ssl
import sys

import paho.mqtt.client as paho

task = json.load(sys.stdin)
result = {}
client = paho.Client(task["id"], clean_session=False, protocol=paho.MQTTv311,
                     transport="websockets")
context = ssl.SSLContext(ssl.PROTOCOL_TLSv1_2)
context.load_verify_locations(task["ca"])
context.check_hostname = True
context.verify_mode = ssl.CERT_REQUIRED
if "cert" in task:
    context.load_cert_chain(task["cert"], task["key"])
client.tls_set_context(context)
client.ws_set_options(path="/$iothub/websocket")
client.username_pw_set(task["user"], task.get("password"))


def on_connect(_client, _data, _flags, code):
    result["connack"] = code
    if code == 0:
        client.publish(task["topic"], task["body"], 1)
    else:
        client.disconnect()


def on_publish(_client, _data, _number):
    result["acknowledged"] = True
    client.disconnect()


client.on_connect = on_connect
client.on_publish = on_publish
client.connect("127.0.0.1", task["port"], 60)
client.loop_forever(timeout=1, retry_first_connection=False)
print(json.dumps(result))
