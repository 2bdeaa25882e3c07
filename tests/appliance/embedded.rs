//! With the embedded broker: a newcomer's case.

use crate::kit::Home;
use crate::observer::Observer;
use crate::story;

#[test]
fn a_round_of_the_demo_on_the_embedded_broker() {
    let home = Home::embedded(story::DEMO);
    let door = home.door();
    let observer = Observer::new(&door);
    story::is_announced(&observer);
    story::a_round(&home, &door, &observer);
    story::keeps_no_identity(&door, "after the round");
    assert!(home.facts.first_run && home.state().node.mqtt_connected);
}
