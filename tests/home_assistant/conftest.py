"""The house of these tests: Home Assistant, a broker, the appliance with its demo camera, and a telephone.

One house for each kind of broker, set up once; tests leave it as they found it. After each test Home Assistant's log
must hold nothing new that anybody would have to look at.
"""

import json
import re

import pytest

import appliance as appliances
from broker import Listener, Mosquitto, held
from home import Home
from telephone import Telephone
from waiting import until

# What Home Assistant says of itself wherever it is installed with pip, whatever is connected to it.
OF_ITSELF = (
    r"\[homeassistant.bootstrap\] Skipping pip installation",
    r"\[aiohttp_fast_zlib\] zlib_ng and isal are not available",
    r"\[homeassistant.components.camera.img_util\] Error loading libturbojpeg",
    r"\[homeassistant.bootstrap\] Support for the running Python version",
    # On a busy machine.
    r"\[homeassistant.(setup|bootstrap)\] (Setup of \S+ is taking over|Waiting on integrations|Waiting for integrations)",
    r"\[homeassistant.components.recorder.util\].*(ended unfinished session|did not shutdown cleanly)",
)


class House:
    """Everything together. `mosquitto` is None with the embedded broker."""

    def __init__(self, folder, kind):
        self.kind = kind
        self.mosquitto = Mosquitto(folder / "mosquitto") if kind == "mosquitto" else None
        self.appliance = appliances.Appliance(folder / "appliance", self.mosquitto)
        self.home = Home(folder / "home")

    def start(self):
        if self.mosquitto:
            self.mosquitto.start()
        self.appliance.start()
        self.home.start()
        self.home.onboard()
        self.mqtt_entry = self.home.add_mqtt(*self.appliance.login())
        self.whole()

    def stop(self):
        self.home.stop()
        self.appliance.stop()
        if self.mosquitto:
            self.mosquitto.stop()

    def unique(self, component, camera="porch"):
        kind, _, person = component.partition("_")
        if kind == "person" and person in self.appliance.identity()["people"]:
            component = f"person_{self.appliance.identity()['people'][person]}".replace("-", "")
        return f"{self.appliance.object(camera)}_{component}"

    def entity(self, component, camera="porch"):
        """The entity id; `camera` None means the appliance itself."""
        # Asked anew each time, because a new person gets an id only in a moment.
        found = lambda: self.home.entities().get(self.unique(component, camera))
        return until(found, f"the entity {component} of {camera} exists")["entity_id"]

    def documents(self):
        """The documents that the broker holds, by the id of their device."""
        kept = held(*self.appliance.login(), "homeassistant/device/+/config")
        return {topic.split("/")[2]: json.loads(payload) for topic, payload in kept.items()}

    def whole(self):
        """Entity ids by unique id, once Home Assistant has exactly what is announced."""

        def same():
            announced = {
                part["unique_id"] for document in self.documents().values() for part in document["cmps"].values()
            }
            there = {unique: entity["entity_id"] for unique, entity in self.home.entities().items()}
            return there if announced == set(there) else None

        return until(same, "Home Assistant has what is announced", 60, every=0.5)


@pytest.fixture(scope="session", params=["mosquitto", "embedded"])
def any_house(request, tmp_path_factory):
    """Both houses, one after the other."""
    house = House(tmp_path_factory.mktemp(request.param), request.param)
    try:
        house.start()
        yield house
    finally:
        house.stop()


@pytest.fixture(scope="session")
def house(any_house):
    """The house with the Mosquitto, for tests that do not look at the kind of broker."""
    return any_house


def pytest_configure(config):
    config.addinivalue_line("markers", "log_may_say(*patterns): complaints that the test itself causes")


def pytest_collection_modifyitems(config, items):
    """Tests that do not look at the broker are run with one of them only."""
    superfluous = [item for item in items if "house" in item.fixturenames and "embedded" in item.name]
    items[:] = [item for item in items if item not in superfluous]
    config.hook.pytest_deselected(items=superfluous)


@pytest.fixture(autouse=True)
def clean_log(request):
    yield
    if "any_house" not in request.fixturenames:
        return
    house = request.getfixturevalue("any_house")
    marker = request.node.get_closest_marker("log_may_say")
    allowed = [*OF_ITSELF, *(marker.args if marker else ())]
    complaints = [text for text in house.home.complaints() if not any(re.search(pattern, text) for pattern in allowed)]
    assert not complaints, "Home Assistant complains:\n" + "\n".join(complaints)


@pytest.fixture(scope="session")
def listener(any_house):
    """Hears everything at the broker from before the first test."""
    listener = Listener(*any_house.appliance.login())
    yield listener
    listener.close()


@pytest.fixture(scope="session")
def telephone(any_house):
    phone = Telephone()
    phone.register(any_house.home)
    yield phone
    phone.close()
