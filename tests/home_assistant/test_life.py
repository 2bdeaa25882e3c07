"""The life of the devices: restarts of everybody, people and cameras that come and go, and what the user removes."""

import json
import shutil

import pytest

import appliance as appliances
from appliance import ROOT
from broker import held
from waiting import stays, until

PHOTO = ROOT / "tests/data/faces/known/ardern/2.jpg"
# Home Assistant says so when a broker is gone, which these tests make happen.
NO_BROKER = (
    r"mqtt.client\] (Disconnected from MQTT server|Failed to connect to MQTT server|Error returned from MQTT server)",
    r"paho.mqtt.client\] failed to receive on socket",
    # Its birth message, when the broker goes at the same moment.
    r"(?s)Task exception was never retrieved.*_async_resubscribe_and_publish_birth_message",
)
# When a device is removed, Home Assistant itself clears the document again for its entities, and wonders at that.
CLEARED = r"mqtt.discovery\] No device components to cleanup for doorward_"


def names(house):
    """Entity ids by unique id."""
    return {unique: entity["entity_id"] for unique, entity in house.home.entities().items()}


def missing(house):
    """Entities that ought to be available and are not."""
    return [
        entity["entity_id"]
        for entity in house.home.entities().values()
        if not entity["disabled_by"] and not house.home.is_available(entity["entity_id"])
    ]


def all_back(house, before, seconds=60):
    try:
        until(lambda: not missing(house), "every entity is available", seconds, every=0.5)
    except AssertionError as error:
        raise AssertionError(f"{error}: {missing(house)}") from None
    assert house.whole() == before


def wait_running(house):
    house.home.wait_state(house.entity("state"), "running", 60)


def test_our_restart_brings_everything_back_and_replays_nothing(house, listener):
    home, before = house.home, house.whole()
    face = house.entity("event_face")
    home.wait_state(face, lambda state: state not in ("unknown", "unavailable"), 60)
    house.appliance.stop()
    home.wait_state(face, "unavailable")
    last = listener.count()
    house.appliance.start()
    # The scene begins with an empty garden, so nothing new can have been told yet.
    shown = home.wait_state(face, lambda state: state != "unavailable")
    told = [json.loads(payload) for payload in listener.since(last, f"{house.appliance.topic}/porch/event/face")]
    assert not told or shown["attributes"]["id"] in {event["id"] for event in told}
    all_back(house, before)
    started = lambda: home.state(house.entity("event_system", None))["attributes"].get("event_type") == "started"
    until(started, "it is told that the appliance has started")


def test_what_was_set_survives_our_restart(house):
    entity = house.entity("motion_threshold")
    house.home.service("number.set_value", {"entity_id": entity}, value=33)
    house.home.wait_state(entity, lambda state: state == "33.0" or state == "33")
    house.appliance.restart()
    until(lambda: house.appliance.value("porch", "motion_threshold") in ("33", "33.0"), "the appliance remembers")
    house.home.wait_state(entity, lambda state: state in ("33.0", "33"))
    house.home.service("number.set_value", {"entity_id": entity}, value=25)


def test_a_restart_of_home_assistant(house, listener):
    before, since = house.whole(), listener.count()
    house.home.restart()
    until(
        lambda: b"online" in listener.since(since, "homeassistant/status"), "Home Assistant says that it is there", 60
    )
    all_back(house, before)
    # These are not retained, so they were told again.
    for component in ("person_unknown", "person_barack", "faces_present"):
        house.home.wait_state(house.entity(component), lambda state: state not in ("unknown", "unavailable"), 15)


@pytest.mark.log_may_say(*NO_BROKER)
def test_a_restart_of_the_broker(house):
    before = house.whole()
    house.mosquitto.stop()
    house.home.wait_state(house.entity("motion"), "unavailable")
    house.mosquitto.start()
    all_back(house, before)


@pytest.mark.log_may_say(*NO_BROKER)
def test_a_broker_that_forgot_everything(house):
    before, documents_before = house.whole(), set(house.documents())
    house.mosquitto.stop()
    house.mosquitto.wipe()
    house.mosquitto.start()
    until(lambda: set(house.documents()) == documents_before, "the documents are there again", 60, every=0.5)
    all_back(house, before)


def test_somebody_gets_a_folder_of_photographs_and_is_forgotten(house):
    folder = house.appliance.data / "faces/Jacinda"
    folder.mkdir()
    shutil.copy(PHOTO, folder / "1.jpg")
    until(lambda: "jacinda" in house.appliance.people(), "the photograph is taken", 30)
    for camera in ("porch", "yard"):
        entity = house.entity("person_jacinda", camera)
        assert house.home.wait_state(entity, "off")["attributes"]["device_class"] == "occupancy"
    uniques = {house.unique("person_jacinda", camera) for camera in ("porch", "yard")}
    shutil.rmtree(folder)
    until(lambda: not uniques & set(house.home.entities()), "the entities go with the photographs")


def test_somebody_is_enrolled_on_the_command_line_and_forgotten(house):
    house.appliance.run("faces", "enrol", "Jacinda", PHOTO)
    entity = house.entity("person_jacinda")
    unique = house.unique("person_jacinda")
    house.home.wait_state(entity, "off")
    house.appliance.run("faces", "forget", "--person", "Jacinda")
    until(lambda: unique not in house.home.entities(), "the entity goes with the person")
    until(lambda: house.home.state(entity) is None, "its state is gone")
    assert "jacinda" not in house.appliance.people()


def without_yard(house):
    """The second camera leaves the configuration and comes back."""
    device, settings = house.appliance.object("yard"), house.appliance.cameras.pop("yard")
    house.appliance.restart()
    until(lambda: house.home.device(device) is None, "the device is gone")
    assert not [unique for unique in names(house) if unique.startswith(device)]
    until(lambda: not held(*house.appliance.login(), "doorward/home/yard/#"), "nothing is retained", 20, every=0.5)
    assert device not in house.documents()
    house.appliance.cameras["yard"] = settings
    house.appliance.restart()
    until(lambda: house.home.device(house.appliance.object("yard")), "the device is there again")


# Home Assistant keeps a disabled entity that is announced no more, until its device goes.
@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.log_may_say(CLEARED)
def test_a_document_of_an_older_version_loses_what_is_no_more(house, listener, is_enabled):
    device = house.appliance.object("yard")
    house.appliance.stop()
    document = house.documents()[device]
    unique = house.unique("of_old", "yard")
    document["cmps"]["of_old"] = {
        "p": "sensor",
        "en": is_enabled,
        "unique_id": unique,
        "name": "Of old",
        "state_topic": "doorward/home/yard/of_old",
    }
    listener.say(f"homeassistant/device/{device}/config", json.dumps(document), retain=True)
    until(lambda: unique in house.home.entities(), "the old entity exists")
    house.appliance.start()
    if is_enabled:
        until(lambda: unique not in house.home.entities(), "the old entity is gone")
    settled = lambda: device in house.documents() and "of_old" not in house.documents()[device]["cmps"]
    until(settled, "the document is that of today")
    stays(settled, "the document of today", 4)
    if not is_enabled:
        # Removed by hand, it would take the document of the whole device with it (seen in 2025.4).
        without_yard(house)
    house.whole()


def test_a_renamed_camera_keeps_its_entities(house):
    before = house.whole()
    house.appliance.cameras["yard"]["name"] = "Back yard"
    house.appliance.restart()
    until(
        lambda: house.home.device(house.appliance.object("yard"))["name"] == "Back yard", "the device has its new name"
    )
    all_back(house, before)
    house.appliance.cameras["yard"]["name"] = "Yard"
    house.appliance.restart()
    until(lambda: house.home.device(house.appliance.object("yard"))["name"] == "Yard", "the device has its old name")


@pytest.mark.log_may_say(CLEARED)
def test_a_camera_that_is_no_more_configured_goes(house):
    before = house.whole()
    without_yard(house)
    assert house.whole().keys() == before.keys()


@pytest.mark.log_may_say(CLEARED)
def test_two_appliances_of_one_name(house, listener, tmp_path):
    before = house.whole()
    other = appliances.Appliance(
        tmp_path / "other", house.mosquitto, node="second", cameras={"porch": dict(appliances.YARD, name="Porch")}
    )
    try:
        other.start()
        for camera in (None, "porch"):
            device = until(
                lambda camera=camera: house.home.device(other.object(camera)), "the other appliance is there"
            )
            twin = house.home.device(house.appliance.object(camera))
            assert device["name"] == twin["name"] and device["id"] != twin["id"]
        until(lambda: f"{other.object('porch')}_motion" in names(house), "the other camera's entities are there")
        both = names(house)
        assert {unique: both[unique] for unique in before} == before
        theirs = {unique for unique in both if unique.startswith(other.object())}
        assert len(theirs) > 20 and len(set(both.values())) == len(both)
    finally:
        other.stop()
    # It was given away; somebody clears at the broker what it left there.
    left = held(*house.appliance.login())
    for topic in left:
        if topic.startswith("homeassistant/") and other.object() in topic:
            listener.say(topic, "", retain=True)
    until(lambda: not [unique for unique in names(house) if unique.startswith(other.object())], "its entities are gone")
    for topic in left:
        if topic.startswith("doorward/second/"):
            listener.say(topic, "", retain=True)
    assert house.whole() == before


def delete_in_home_assistant(house, device):
    known = house.home.device(device)["id"]
    answer = house.home.send("config/device_registry/remove", device_id=known)
    if not answer["success"] and answer["error"]["code"] == "unknown_command":
        # Before 2026.8 a device could belong to several integrations.
        entry = house.mqtt_entry
        house.home.ask("config/device_registry/remove_config_entry", config_entry_id=entry, device_id=known)
    until(lambda: house.home.device(device) is None, "the device is gone")


@pytest.mark.log_may_say(CLEARED)
def test_a_device_that_the_user_deletes_stays_away_until_asked_back(house):
    device, before = house.appliance.object("yard"), house.whole()
    delete_in_home_assistant(house, device)
    away = lambda: house.home.device(device) is None and device not in house.documents()
    until(away, "its document is gone")
    stays(away, "it is away", 6)
    house.appliance.restart()
    wait_running(house)
    stays(away, "it is away after our restart", 6)
    assert house.home.device(house.appliance.object("porch"))
    house.appliance.rest("POST", "/api/requests/discovery/republish", json={})
    until(lambda: house.home.device(device), "it was asked back")
    all_back(house, before)


def ours_retained(house):
    """What the broker holds of this appliance, state and documents."""
    kept = held(*house.appliance.login())
    return [
        topic for topic in kept if topic.startswith(f"{house.appliance.topic}/") or house.appliance.object() in topic
    ]


@pytest.mark.log_may_say(CLEARED)
def test_cleared_discovery_leaves_nothing_in_home_assistant(house):
    before = house.whole()
    house.appliance.rest("POST", "/api/requests/discovery/clear", json={})
    until(lambda: not names(house), "no entity is left")
    assert house.home.device(house.appliance.object()) is None
    until(
        lambda: not [topic for topic in ours_retained(house) if topic.startswith("homeassistant/")],
        "no document is retained",
    )
    house.appliance.rest("POST", "/api/requests/discovery/republish", json={})
    all_back(house, before)


@pytest.mark.log_may_say(CLEARED)
def test_uninstall_leaves_nothing_anywhere(house):
    before = house.whole()
    house.appliance.stop()
    house.appliance.run("uninstall")
    until(lambda: not names(house), "no entity is left")
    assert house.home.device(house.appliance.object()) is None
    assert not ours_retained(house)
    house.appliance.start()
    until(lambda: names(house) == before, "a new start brings it back", 60)
