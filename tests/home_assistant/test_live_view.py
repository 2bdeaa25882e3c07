"""The MJPEG IP Camera of Home Assistant shows the appliance's stream over HTTPS, with a stream token as its password."""

import pytest

from waiting import until

# Home Assistant's own library warns of the certificate that nobody was asked to verify.
pytestmark = pytest.mark.log_may_say("InsecureRequestWarning")


def mjpeg(house, name, password):
    base = f"https://127.0.0.1:{house.appliance.port}/api/cameras/porch"
    form = {"name": name, "mjpeg_url": f"{base}/stream.mjpeg", "still_image_url": f"{base}/snapshot.jpg",
            "username": "home", "password": password, "verify_ssl": False}  # fmt: skip
    return house.home.flow("mjpeg", form)


def frames(home, entity, wanted, seconds=30):
    """Pictures of the stream as a browser gets them from Home Assistant."""
    answer = home.rest("GET", f"/api/camera_proxy_stream/{entity}", stream=True)
    assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace")
    found, buffer = [], b""
    for chunk in answer.iter_content(4096):
        buffer += chunk
        while (start := buffer.find(b"\xff\xd8")) >= 0 and (stop := buffer.find(b"\xff\xd9", start)) >= 0:
            found.append(buffer[start : stop + 2])
            buffer = buffer[stop + 2 :]
        if len(found) >= wanted:
            answer.close()
            return found
    raise AssertionError(f"the stream ended after {len(found)} pictures")


def test_a_wrong_password_is_told(house):
    step = mjpeg(house, "Wrong", "wrong")
    assert step["type"] == "form"
    assert step["errors"] == {"username": "invalid_auth"}


def test_moving_pictures(house):
    home = house.home
    wanted = {"kind": "stream", "camera": "porch", "name": "Home Assistant"}
    token = house.appliance.rest("POST", "/api/v1/tokens", json=wanted).json()["token"]
    step = mjpeg(house, "Porch live", token)
    assert step["type"] == "create_entry", step
    entry = step["result"]["entry_id"]
    try:
        registry = lambda: [
            entity for entity in home.ask("config/entity_registry/list") if entity["config_entry_id"] == entry
        ]
        camera = until(registry, "the camera is there")[0]["entity_id"]
        until(lambda: home.state(camera), "the camera has a state")
        still = home.rest("GET", f"/api/camera_proxy/{camera}").content
        assert still.startswith(b"\xff\xd8")
        seen = frames(home, camera, 20)
        assert len(set(seen)) >= 10, "different pictures"
        until(lambda: house.appliance.value("porch", "viewers") == "0", "nobody watches any more")
    finally:
        home.rest("DELETE", f"/api/config/config_entries/entry/{entry}")
