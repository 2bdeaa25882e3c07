"""Asks a running appliance with paho-mqtt: over MQTT 5 with a response topic, and over 3.1.1 with a transaction.

usage: mqtt_request.py PORT USER PASSWORD BASE_TOPIC
"""

import json
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT, USER, PASSWORD, BASE = sys.argv[1:5]
PATIENCE = 20


def connected(protocol, answers):
    """A client that listens on one topic and puts what it hears into a queue."""
    heard, subscribed = queue.Queue(), queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=protocol)
    client.username_pw_set(USER, PASSWORD)
    client.on_message = lambda _client, _data, message: heard.put(message)
    client.on_subscribe = lambda *_: subscribed.put(True)
    client.connect("127.0.0.1", int(PORT))
    client.loop_start()
    client.subscribe(answers, qos=1)
    subscribed.get(timeout=PATIENCE)
    return client, heard


def with_response_topic():
    client, heard = connected(mqtt.MQTTv5, "scripts/paho")
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = "scripts/paho"
    properties.CorrelationData = b"seven"
    client.publish(f"{BASE}/porch/fps/set", "11", qos=1, properties=properties)
    message = heard.get(timeout=PATIENCE)
    answer = json.loads(message.payload)
    assert message.properties.CorrelationData == b"seven", message.properties
    assert answer["status"] == "ok" and answer["data"]["value"] == "11", answer
    client.loop_stop()


def with_transaction():
    client, heard = connected(mqtt.MQTTv311, f"{BASE}/response/#")
    body = {"transaction": {"from": "paho", "n": 1}}
    client.publish(f"{BASE}/request/ping", json.dumps(body), qos=1)
    while (answer := json.loads(heard.get(timeout=PATIENCE).payload)).get("transaction") != body["transaction"]:
        pass
    assert answer["status"] == "ok" and answer["data"]["pong"] is True, answer
    client.loop_stop()


with_response_topic()
with_transaction()
