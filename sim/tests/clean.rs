//! Sound models on the sound engine: no history breaks a promise, and a seed says the same every time.

mod models;

use models::journal::{self, Journal, SOUND};
use systole_sim::{Report, Simulation};

fn every_model() -> Simulation {
    Simulation::new().objects().texts().model::<Journal<SOUND>>(journal::users)
}

fn clean(simulation: Simulation) -> Report {
    let report = simulation.run().expect("nothing is found");
    println!("{report}");
    report
}

#[test]
fn objects_converge() {
    clean(Simulation::new().objects().seeds(0..60));
}

#[test]
fn texts_converge() {
    clean(Simulation::new().texts().seeds(100..160));
}

#[test]
fn a_model_of_ones_own_converges() {
    clean(Simulation::new().model::<Journal<SOUND>>(journal::users).seeds(200..300));
}

#[test]
fn several_models_on_many_devices_converge() {
    let report = clean(every_model().devices(5).steps(160).seeds(300..350));
    let counts = report.counts;
    assert!(counts.crashes > 0 && counts.restores > 0 && counts.hostile > 0, "{report}");
    assert!(counts.processed > counts.messages, "devices hear of each other: {report}");
}

#[test]
fn a_single_device_keeps_what_it_wrote() {
    clean(every_model().devices(1).seeds(400..430));
}

#[test]
fn the_same_seeds_give_the_same_trace_and_others_another_one() {
    let run = |seeds: std::ops::Range<u64>| clean(every_model().seeds(seeds));
    let (once, again, other) = (run(500..520), run(500..520), run(520..540));
    assert_eq!(once, again);
    assert_ne!(once.trace, other.trace);
}

#[test]
fn a_history_asked_for_by_itself_is_the_one_that_ran() {
    let simulation = every_model();
    let mut one = simulation.history(7).expect("nothing is found");
    let mut again = simulation.history(7).expect("nothing is found");
    assert_eq!(one.party(), again.party());
    assert_eq!(one.ranges(), again.ranges());
    assert_eq!(one.items().expect("items"), again.items().expect("items"));
}
