//! The traces that broke earlier drafts, each by name.

use crate::world::Sim;

#[test]
fn a_log_is_stored_and_read_back() {
    let sim = Sim::simple();
    sim.write(0, 3);
    let archiver = sim.world().start(0, 0, false);
    assert!(sim.to_idle(archiver));
    sim.write(0, 3);
    sim.server(0, |log, _| log.rotate(None, true, 4096));
    sim.write(0, 3);
    assert!(sim.to_idle(archiver));
    assert_eq!(sim.describe_runs().len(), 1);
}
