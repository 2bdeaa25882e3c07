"""Scenes that paho-mqtt plays against the embedded broker; see tests/broker.

Usage: broker_client.py PORT USER PASSWORD SCENE. Prints "ok" and exits with 0, or fails with a traceback.
"""

import os
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PORT, USER, PASSWORD, SCENE = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
PATIENCE = 25
# TLS, if the environment names whom to trust: the broker's certificate, and our own with its key.
CAFILE, CERT, KEY = (os.environ.get(f"DOORWARD_TEST_{name}") for name in ("CAFILE", "CERT", "KEY"))


class Client:
    """A paho client that keeps what it heard."""

    def __init__(self, version=mqtt.MQTTv5, client_id="", login=(USER, PASSWORD), **connect):
        self.heard, self.changed, self.code = [], threading.Condition(), None
        self.subscribed = 0
        options = {} if version == mqtt.MQTTv5 else {"clean_session": connect.pop("clean_session", True)}
        self.mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=version, **options)
        if login:
            self.mqtt.username_pw_set(*login)
        if CAFILE:
            self.mqtt.tls_set(ca_certs=CAFILE, certfile=CERT, keyfile=KEY)
        self.mqtt.on_message = lambda _c, _u, message: self.note(lambda: self.heard.append(message))
        self.mqtt.on_connect = lambda _c, _u, flags, code, _p: self.note(lambda: self.on_connect(flags, code))
        self.mqtt.on_subscribe = lambda *_: self.note(self.count)
        self.mqtt.connect("127.0.0.1", PORT, keepalive=60, **connect)
        self.mqtt.loop_start()
        self.until(lambda: self.code is not None, "CONNACK")

    def on_connect(self, flags, code):
        self.code, self.session_present = code, flags.session_present

    def count(self):
        self.subscribed += 1

    def note(self, change):
        with self.changed:
            change()
            self.changed.notify_all()

    def until(self, is_so, what):
        with self.changed:
            assert self.changed.wait_for(is_so, PATIENCE), f"no {what}; heard {len(self.heard)}"

    def subscribe(self, *args, **kwargs):
        before = self.subscribed
        self.mqtt.subscribe(*args, **kwargs)
        self.until(lambda: self.subscribed > before, "SUBACK")

    def wait(self, n):
        self.until(lambda: len(self.heard) >= n, f"{n} messages")

    def publish(self, *args, **kwargs):
        self.mqtt.publish(*args, **kwargs).wait_for_publish(PATIENCE)

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def alive():
    for reader, writer in ((mqtt.MQTTv311, mqtt.MQTTv5), (mqtt.MQTTv5, mqtt.MQTTv311)):
        for qos in (0, 1, 2):
            listener, speaker = Client(reader), Client(writer)
            listener.subscribe(f"paho/{reader}/{qos}", qos=qos)
            speaker.publish(f"paho/{reader}/{qos}", b"hello", qos=qos)
            listener.wait(1)
            assert (listener.heard[0].payload, listener.heard[0].qos) == (b"hello", qos)
            listener.close(), speaker.close()


def certificate():
    """Whoever shows a certificate needs no password, and may do what a client may, in both versions."""
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        client = Client(version, login=None)
        assert not client.code.is_failure, client.code
        client.subscribe("c/#", qos=1)
        client.publish("c/x", b"mine", qos=1)
        client.wait(1)
        # What only the appliance says stays its own.
        client.subscribe("doorward/#", qos=1)
        client.publish("doorward/n1/status", b"forged", qos=1)
        client.publish("c/y", b"after", qos=1)
        client.wait(2)
        assert [m.payload for m in client.heard] == [b"mine", b"after"]
        client.close()


def refused():
    """A certificate that does not let in, with what the CONNACK says of it."""
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        client = Client(version, login=None)
        assert client.code.is_failure and client.code.getName() == "Not authorized", client.code
        client.close()


def no_handshake():
    """A certificate of a foreign authority: TLS itself ends, with no CONNACK."""
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        heard = []
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=version)
        client.tls_set(ca_certs=CAFILE, certfile=CERT, keyfile=KEY)
        client.on_connect = lambda *_: heard.append("CONNACK")
        try:
            client.connect("127.0.0.1", PORT)
            for _ in range(50):
                code = client.loop(0.1)
                if code != mqtt.MQTT_ERR_SUCCESS:
                    break
            assert code != mqtt.MQTT_ERR_SUCCESS, "still connected"
        except OSError as error:
            assert "alert" in str(error) or "reset" in str(error) or "EOF" in str(error), error
        assert not heard, heard


def wrong_password():
    for version, expected in ((mqtt.MQTTv311, "Bad user name or password"), (mqtt.MQTTv5, "Bad user name or password")):
        client = Client(version, login=(USER, "wrong"))
        assert client.code.is_failure and client.code.getName() == expected, client.code
        client.close()


def properties():
    """Response topic, correlation data, content type, user properties and subscription identifiers arrive."""
    listener, speaker = Client(), Client()
    for n, topic in ((7, "p/+"), (268435455, "p/#")):
        with_id = Properties(PacketTypes.SUBSCRIBE)
        with_id.SubscriptionIdentifier = n
        listener.subscribe(topic, options=SubscribeOptions(qos=1), properties=with_id)
    said = Properties(PacketTypes.PUBLISH)
    said.ResponseTopic, said.CorrelationData, said.ContentType = "answers/1", b"\x00\xff", "image/jpeg"
    said.UserProperty = [("a", "1"), ("a", "2")]
    said.PayloadFormatIndicator, said.MessageExpiryInterval = 1, 100
    speaker.publish("p/x", b"1", qos=1, properties=said)
    speaker.publish("p/x/y", b"2", qos=2)
    listener.wait(2)
    first, second = listener.heard[:2]
    heard = first.properties
    assert (heard.ResponseTopic, heard.CorrelationData, heard.ContentType) == ("answers/1", b"\x00\xff", "image/jpeg")
    assert heard.UserProperty == [("a", "1"), ("a", "2")], heard.UserProperty
    assert heard.PayloadFormatIndicator == 1 and 90 < heard.MessageExpiryInterval <= 100
    assert sorted(heard.SubscriptionIdentifier) == [7, 268435455], heard.SubscriptionIdentifier
    assert second.properties.SubscriptionIdentifier == [268435455] and second.qos == 1
    time.sleep(0.3)
    assert len(listener.heard) == 2, "overlapping filters give one copy"
    listener.close(), speaker.close()


def retained():
    """500 retained messages reach a new subscriber at every QoS in both versions, with the retain flag."""
    speaker = Client()
    for n in range(500):
        speaker.publish(f"kept/{n}", f"{n}", qos=1, retain=True)
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        for qos in (0, 1, 2):
            listener = Client(version)
            listener.subscribe("kept/#", qos=qos)
            listener.wait(500)
            assert {m.topic: m.payload for m in listener.heard} == {f"kept/{n}": b"%d" % n for n in range(500)}
            assert all(m.retain and m.qos == min(qos, 1) for m in listener.heard)
            listener.subscribe("kept/#", qos=qos)
            listener.wait(1000)
            speaker.publish("kept/0", "new", retain=True)
            listener.wait(1001)
            assert not listener.heard[1000].retain, "a live message is not retained"
            speaker.publish("kept/0", "0", qos=1, retain=True)
            listener.wait(1002)
            listener.close()
    speaker.close()


def no_local():
    client = Client()
    client.subscribe("own/#", options=SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True))
    client.publish("own/a", b"mine", qos=1)
    other = Client()
    other.publish("own/b", b"other", qos=1, retain=True)
    client.wait(1)
    assert [(m.payload, m.retain) for m in client.heard] == [(b"other", 1)]
    client.close(), other.close()


def sessions():
    """What was said at QoS 1 while a client with a session was away arrives in order; QoS 0 does not."""
    keep = Properties(PacketTypes.CONNECT)
    keep.SessionExpiryInterval = 60
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        old = {"clean_session": False} if version == mqtt.MQTTv311 else {"clean_start": False, "properties": keep}
        client = Client(version, f"sleeper{version}", **old)
        assert not client.session_present
        client.subscribe(f"s{version}/#", qos=1)
        client.close()
        speaker = Client()
        for n in range(150):
            speaker.publish(f"s{version}/x", b"%d" % n, qos=1)
            if n == 100:
                speaker.publish(f"s{version}/x", b"lost", qos=0)
        old = {"clean_session": False} if version == mqtt.MQTTv311 else {"clean_start": False, "properties": keep}
        client = Client(version, f"sleeper{version}", **old)
        assert client.session_present
        client.wait(150)
        speaker.publish(f"s{version}/x", b"end", qos=1)
        client.wait(151)
        said = [m.payload for m in client.heard]
        assert said == [b"%d" % n for n in range(150)] + [b"end"], said
        client.close(), speaker.close()
        if version == mqtt.MQTTv5:
            client = Client(version, f"sleeper{version}", clean_start=True)
            assert not client.session_present
            client.close()


def order():
    """Messages of one publisher arrive in their order across filters, as picture before event needs."""
    listener, speaker = Client(), Client()
    for topic in ("o/image", "o/event", "o/#"):
        listener.subscribe(topic, qos=1)
    for n in range(300):
        speaker.mqtt.publish("o/image", b"x" * 2000, qos=1)
        speaker.mqtt.publish("o/event", b"%d" % n, qos=1)
    listener.wait(600)
    assert [m.topic for m in listener.heard] == ["o/image", "o/event"] * 300
    listener.close(), speaker.close()


def large():
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        listener, speaker = Client(version), Client(version)
        listener.subscribe("large", qos=1)
        picture = bytes(range(256)) * 8192
        for qos in (0, 1, 2):
            speaker.publish("large", picture, qos=qos)
        listener.wait(3)
        assert all(m.payload == picture for m in listener.heard)
        listener.close(), speaker.close()


globals()[SCENE]()
print("ok")
