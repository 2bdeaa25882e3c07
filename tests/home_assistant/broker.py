"""A real Mosquitto with a user and a password, and a client that looks at what a broker holds."""

import getpass
import pathlib
import shutil
import subprocess
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from waiting import end, free_port, is_open, until

USER, PASSWORD = "home", "correct horse battery"
# Home Assistant 2024.12 brings paho 1.6, newer ones 2.1, which wants to know how callbacks are called.
STYLE = [mqtt.CallbackAPIVersion.VERSION2] if hasattr(mqtt, "CallbackAPIVersion") else []


def client():
    return mqtt.Client(*STYLE, protocol=mqtt.MQTTv5)


def program(name):
    found = shutil.which(name, path=f"{shutil.os.environ['PATH']}:/usr/local/sbin:/usr/sbin")
    assert found, f"{name} is not installed; ./doorward.sh home-assistant installs it"
    return found


class Mosquitto:
    """Keeps retained messages over a restart, unless it is wiped."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.port, self.process = folder, free_port(), None
        self.user, self.password = USER, PASSWORD
        folder.mkdir(parents=True)
        passwords = folder / "passwords"
        passwords.touch(mode=0o600)
        subprocess.run([program("mosquitto_passwd"), "-b", passwords, USER, PASSWORD], check=True)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\n"
            f"user {getpass.getuser()}\n"
            f"allow_anonymous false\npassword_file {passwords}\n"
            f"persistence true\npersistence_location {folder}/\n"
        )

    def start(self):
        log = (self.folder / "mosquitto.log").open("ab")
        self.process = subprocess.Popen(
            [program("mosquitto"), "-c", self.folder / "mosquitto.conf"], stdout=log, stderr=log
        )
        until(lambda: is_open(self.port), "Mosquitto listens", 10)

    def stop(self):
        end(self.process)

    def wipe(self):
        (self.folder / "mosquitto.db").unlink()


class Listener:
    """Hears every message, remembers the retained ones as the broker has them."""

    def __init__(self, port, user, password):
        self.kept, self.heard, self.lock = {}, [], threading.Lock()
        self.client = client()
        self.client.username_pw_set(user, password)
        self.client.on_connect = lambda me, *_: me.subscribe(
            "#", options=SubscribeOptions(qos=1, retainAsPublished=True)
        )
        self.client.on_message = self.note
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until(self.client.is_connected, "the listener is connected", 10)

    def note(self, _client, _data, message):
        with self.lock:
            self.heard.append(message)
            if message.retain and message.payload:
                self.kept[message.topic] = message.payload
            elif message.retain:
                self.kept.pop(message.topic, None)

    def count(self):
        with self.lock:
            return len(self.heard)

    def since(self, count, topic):
        """Payloads on `topic` that came after the first `count` messages."""
        with self.lock:
            return [message.payload for message in self.heard[count:] if mqtt.topic_matches_sub(topic, message.topic)]

    def retained(self, topic):
        with self.lock:
            return {name: payload for name, payload in self.kept.items() if mqtt.topic_matches_sub(topic, name)}

    def say(self, topic, payload, retain=False):
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def held(port, user, password, topic="#"):
    """What the broker holds under `topic`, asked by a client that has just come: topics and payloads."""
    kept, complete = {}, threading.Event()
    probe = "probe/end"
    asker = client()
    asker.username_pw_set(user, password)

    def note(_client, _data, message):
        if message.topic == probe:
            complete.set()
        elif message.retain:
            kept[message.topic] = message.payload

    asker.on_message = note
    asker.on_connect = lambda me, *_: me.subscribe([(probe, 1), (topic, 1)])
    asker.on_subscribe = lambda me, *_: me.publish(probe, "all that is retained came before this", qos=1)
    asker.connect("127.0.0.1", port)
    asker.loop_start()
    assert complete.wait(10), "the broker does not answer"
    asker.disconnect()
    asker.loop_stop()
    return kept
