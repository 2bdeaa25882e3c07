"""The example of a dashboard: Home Assistant takes it, and every entity in it exists."""

import re

import yaml

from appliance import ROOT

TEXT = (ROOT / "ha-addon/dashboard.yaml").read_text()
# Whom a household enrols is its own affair.
EXAMPLES = {"binary_sensor.porch_person_alice", "binary_sensor.porch_person_bob"}


def mentioned(part):
    """Every entity id in a part of the dashboard."""
    if isinstance(part, dict):
        return set().union(*map(mentioned, part.values()))
    if isinstance(part, list):
        return set().union(*map(mentioned, part)) if part else set()
    return {part} if isinstance(part, str) and re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", part) else set()


def test_the_dashboard_is_taken_and_its_entities_exist(house):
    home = house.home
    # What the documents suggest; Home Assistant before 2025.10 makes its own.
    entities = home.entities()
    announced = [part for document in house.documents().values() for part in document["cmps"].values()]
    by_name = {part["default_entity_id"]: entities[part["unique_id"]]["entity_id"] for part in announced}
    used = mentioned(yaml.safe_load(TEXT))
    assert len(used) > 20
    assert used - EXAMPLES <= set(by_name), "not an entity of Doorward"
    text = re.sub(r"\b[a-z_]+\.[a-z0-9_]+\b", lambda match: by_name.get(match.group(), match.group()), TEXT)
    dashboard = home.ask("lovelace/dashboards/create", url_path="doorward-door", title="Doorward", mode="storage")
    try:
        config = yaml.safe_load(text)
        home.ask("lovelace/config/save", url_path="doorward-door", config=config)
        assert home.ask("lovelace/config", url_path="doorward-door") == config
        missing = {entity for entity in mentioned(config) - EXAMPLES if home.state(entity) is None}
        assert not missing
    finally:
        home.ask("lovelace/dashboards/delete", dashboard_id=dashboard["id"])
