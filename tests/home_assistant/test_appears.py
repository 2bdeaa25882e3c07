"""The appliance appears in Home Assistant as its documents and its manual promise, and every control works from there."""

import re

import pytest

from appliance import ROOT
from waiting import until

# Abbreviations of the documents, and what Home Assistant's registry calls it.
CLASS, CATEGORY, UNIT = "device_class", "entity_category", "unit_of_measurement"
# They have no value before something has happened, here or while Home Assistant was listening.
SILENT = {"event_camera", "event_system", "event_security", "event_address_changed", "public_address", "image_strip"}


def components(house):
    """Device id, component id and document of everything that is announced."""
    return [(device, name, part) for device, body in house.documents().items() for name, part in body["cmps"].items()]


def manual():
    """The rows of docs/entities.md: topic, name and platform, and whether it belongs to a camera."""
    text = (ROOT / "docs/entities.md").read_text()
    cameras, node = text.split("\n## The appliance\n")
    row = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| (\w+) \|", re.MULTILINE)
    return [
        (*match.groups(), belongs)
        for part, belongs in ((cameras, "camera"), (node, "node"))
        for match in row.finditer(part)
    ]


def test_devices(any_house):
    home, appliance = any_house.home, any_house.appliance
    node = home.device(appliance.object())
    version = appliance.run("--version").split()[-1]
    for camera in ("porch", "yard"):
        device = home.device(appliance.object(camera))
        assert device["name"] == camera.title()
        assert (device["manufacturer"], device["model"], device["sw_version"]) == ("Doorward", "Camera", version)
        assert device["via_device_id"] == node["id"]
        assert re.fullmatch(r"https://[^/]+:\d+/?.*", device["configuration_url"]), device["configuration_url"]
    assert (node["name"], node["manufacturer"], node["model"], node["sw_version"]) == (
        "Doorward",
        "Doorward",
        "Doorward",
        version,
    )
    assert node["via_device_id"] is None
    assert node["serial_number"].replace("-", "") == appliance.identity()["node"].replace("-", "")
    assert node["configuration_url"].startswith("https://")
    areas = {area["area_id"]: area["name"] for area in home.ask("config/area_registry/list")}
    assert areas[home.device(appliance.object("porch"))["area_id"]] == "Garden"
    ours = [device for device in home.ask("config/device_registry/list") if device["manufacturer"] == "Doorward"]
    assert len(ours) == 3


def test_every_component_is_an_entity_as_announced(any_house):
    home = any_house.home
    announced = components(any_house)
    assert len(announced) > 60
    entities = until(lambda: len(home.entities()) >= len(announced) and home.entities(), "all entities are there")
    ids = {part["unique_id"] for _, _, part in announced}
    assert ids == set(entities), "what is announced and what Home Assistant has"
    devices = {
        device["id"]: device["identifiers"][0][1]
        for device in home.ask("config/device_registry/list")
        if device["identifiers"]
    }
    for device, name, part in announced:
        entity = home.ask("config/entity_registry/get", entity_id=entities[part["unique_id"]]["entity_id"])
        where = f"{name}: {entity}"
        assert devices[entity["device_id"]] == device, where
        assert entity["entity_id"].split(".")[0] == part["p"], where
        assert entity["original_name"] == part["name"], where
        assert entity["entity_category"] == part.get(CATEGORY), where
        assert entity["original_device_class"] == part.get(CLASS), where
        assert entity["original_icon"] == part.get("icon"), where
        assert entity["disabled_by"] == ("integration" if part.get("en", True) is False else None), where
        if entity["disabled_by"]:
            assert home.state(entity["entity_id"]) is None, where
            continue
        attributes = until(lambda: home.state(entity["entity_id"]), f"{entity['entity_id']} has a state")["attributes"]
        for ours, theirs in (
            (UNIT, UNIT),
            ("options", "options"),
            ("event_types", "event_types"),
            ("min", "min"),
            ("max", "max"),
            ("state_class", "state_class"),
        ):
            if ours in part and home.is_available(entity["entity_id"]):
                assert attributes.get(theirs) == part[ours], f"{ours} of {where}: {attributes}"


def test_the_manual_lists_what_is_there(any_house):
    belongs = {any_house.appliance.object("porch"): "camera", any_house.appliance.object(): "node"}
    there = {(belongs[device], name): part for device, name, part in components(any_house) if device in belongs}
    rows = manual()
    assert len(rows) > 30
    for topic, name, platform, owner in rows:
        part = there.get((owner, topic.replace("/", "_")))
        if part is None:
            assert topic in ("image/strip", "event/address_changed", "public_address"), (
                f"{topic} is in the manual but not announced"
            )
            continue
        assert part["p"] == platform, topic
        assert part["name"] == (None if name == "(the device)" else name), topic


def test_everything_gets_a_state(any_house):
    home = any_house.home
    names = {part["unique_id"]: name for _, name, part in components(any_house)}
    # The yard looks for nothing, so nothing happens there; a button has a state when it was pressed.
    looked_at = {unique for unique in names if not unique.startswith(any_house.appliance.object("yard"))}
    looked_at -= {
        unique
        for unique in looked_at
        if names[unique] in SILENT or home.entities()[unique]["entity_id"].startswith("button.")
    }

    def silent():
        entities = [home.entities()[unique] for unique in looked_at]
        states = {
            entity["entity_id"]: home.state(entity["entity_id"]) for entity in entities if not entity["disabled_by"]
        }
        return [
            entity for entity, state in states.items() if state is None or state["state"] in ("unknown", "unavailable")
        ]

    try:
        until(lambda: not silent(), "every entity has a state", 75, every=1)
    except AssertionError as error:
        raise AssertionError(f"{error}: {silent()}") from None


def settable(house):
    for device, name, part in components(house):
        if device == house.appliance.object("porch") and part["p"] in ("switch", "number", "select"):
            yield name, part


def other_value(part, now):
    if part["p"] == "switch":
        return "off" if now == "on" else "on"
    if part["p"] == "select":
        return next(option for option in part["options"] if option != now)
    return part["min"] + part["step"] if float(now) != part["min"] + part["step"] else part["min"]


def send(home, entity, platform, value):
    if platform == "switch":
        home.service(f"switch.turn_{value}", {"entity_id": entity})
    elif platform == "number":
        home.service("number.set_value", {"entity_id": entity}, value=value)
    else:
        home.service("select.select_option", {"entity_id": entity}, option=value)


def same(platform, state, value):
    return float(state) == float(value) if platform == "number" else str(state).lower() == str(value).lower()


def test_every_control_works_from_home_assistant(any_house):
    home, appliance = any_house.home, any_house.appliance
    tried = []
    for name, part in settable(any_house):
        entity, platform = any_house.entity(name), part["p"]
        before = home.state(entity)["state"]
        for value in (other_value(part, before), before):
            send(home, entity, platform, value)
            home.wait_state(
                entity,
                lambda state, value=value: state not in ("unknown", "unavailable") and same(platform, state, value),
            )
            assert same(platform, appliance.value("porch", name), value), name
        tried.append(name)
    assert {"privacy", "motion_detection", "face_threshold", "fps"} <= set(tried)


def test_buttons(any_house, listener):
    home, appliance = any_house.home, any_house.appliance
    home.wait_state(any_house.entity("state"), "running")
    for name in ("snapshot", "background_reset"):
        before, entity = listener.count(), any_house.entity(name)
        home.service("button.press", {"entity_id": entity})
        pressed = until(lambda: listener.since(before, f"{appliance.topic}/porch/{name}/press"), f"{name} was pressed")
        assert pressed == [b"PRESS"]
        assert not listener.since(before, f"{appliance.topic}/log")
        if name == "snapshot":
            pictures = until(
                lambda: listener.since(before, f"{appliance.topic}/porch/image/event/+"), "a picture was taken"
            )
            assert pictures[0].startswith(b"\xff\xd8")


def is_jpeg(answer):
    body = answer.content
    return (
        answer.headers["Content-Type"] == "image/jpeg" and body.startswith(b"\xff\xd8") and body.endswith(b"\xff\xd9")
    )


def test_camera_and_images_are_jpegs(any_house):
    home = any_house.home
    camera = any_house.entity("image_live")
    assert until(
        lambda: (answer := home.rest("GET", f"/api/camera_proxy/{camera}", check=False)).ok and answer,
        "the camera has a picture",
    )
    assert is_jpeg(home.rest("GET", f"/api/camera_proxy/{camera}"))
    for name in ("image_motion", "image_face"):
        image = any_house.entity(name)
        home.wait_state(image, lambda state: state not in ("unknown", "unavailable"), 60)
        assert is_jpeg(home.rest("GET", f"/api/image_proxy/{image}")), name
    table = any_house.entity("image_self_test", None)
    home.wait_state(table, lambda state: state not in ("unknown", "unavailable"))
    assert b"<svg" in home.rest("GET", f"/api/image_proxy/{table}").content


@pytest.fixture
def automation(any_house):
    """Makes automations that tell the test of it with the event `doorward_test`."""
    made = []
    heard = any_house.home.listen("doorward_test")

    def make(name, triggers, data):
        made.append(name)
        any_house.home.automate(
            name, {"triggers": triggers, "actions": [{"event": "doorward_test", "event_data": {"from": name, **data}}]}
        )
        return lambda is_it=lambda data: True: any_house.home.heard(
            heard, lambda data: data["from"] == name and is_it(data), 75, name
        )

    yield make
    for name in made:
        any_house.home.forget_automation(name)


def test_an_automation_on_motion_fires(any_house, automation):
    fired = automation(
        "motion", [{"trigger": "state", "entity_id": any_house.entity("motion"), "from": "off", "to": "on"}], {}
    )
    fired()


def test_an_automation_on_a_face_fires(any_house, automation):
    event = any_house.entity("event_face")
    trigger = [{"trigger": "state", "entity_id": event, "not_from": ["unavailable", "unknown"]}]
    data = {
        "type": "{{ trigger.to_state.attributes.event_type }}",
        "name": "{{ trigger.to_state.attributes.name | default(none) }}",
        "id": "{{ trigger.to_state.attributes.id }}",
    }
    fired = automation("face", trigger, data)
    known = fired(lambda data: data["type"] == "known")
    assert known["name"] == "Barack"
    record = any_house.appliance.rest("GET", f"/api/events/{known['id']}").json()
    assert record["person"] == "barack"
    fired(lambda data: data["type"] == "unknown")


def test_presence_follows_who_is_in_view(any_house):
    home = any_house.home
    somebody = any_house.entity("person_barack")
    home.wait_state(somebody, "on", 60)
    home.wait_state(any_house.entity("faces_present"), lambda names: "Barack" in names, 60)
    home.wait_state(somebody, "off", 60)
