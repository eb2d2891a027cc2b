use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use super::*;
use crate::error::ErrorKind;
use crate::source::test_server::PATIENCE;

type Flight = Arc<SingleFlight<Option<u32>>>;

/// Waits for the value of another caller, on a thread; what it got, with whether it had the turn itself.
fn wait(flight: &Flight, stop: &StopSignal) -> JoinHandle<(Result<u32>, bool)> {
    let (flight, stop) = (Arc::clone(flight), stop.clone());
    thread::spawn(move || match flight.turn(&stop, |state| *state) {
        Ok(Turn::Found(value)) => (Ok(value), false),
        Ok(Turn::Renew(renewal)) => {
            flight.with(|state| *state = Some(99));
            (renewal.end(Ok(99), &stop), true)
        }
        Err(error) => (Err(error), false),
    })
}

/// A caller that has the turn until it is told how it ends.
fn fly(flight: &Flight, stop: &StopSignal) -> (Sender<Option<Result<u32>>>, JoinHandle<()>) {
    let (flight, stop) = (Arc::clone(flight), stop.clone());
    let ((end, ended), (begun, has_begun)) = (mpsc::channel(), mpsc::channel::<()>());
    let thread = thread::spawn(move || {
        let Ok(Turn::Renew(renewal)) = flight.turn(&stop, |state| *state) else { panic!("somebody flies already") };
        begun.send(()).unwrap();
        let ended: &Receiver<Option<Result<u32>>> = &ended;
        // Without an outcome it gives up, as in a panic.
        let Some(outcome) = ended.recv_timeout(PATIENCE).unwrap() else { return };
        if let Ok(value) = outcome {
            flight.with(|state| *state = Some(value));
        }
        let _ = renewal.end(outcome, &stop);
    });
    has_begun.recv_timeout(PATIENCE).unwrap();
    (end, thread)
}

/// Waits until so many callers wait.
fn until_waiting(flight: &Flight, count: usize) {
    while flight.changed.waiting() < count {
        thread::yield_now();
    }
}

#[test]
fn all_who_wait_get_the_value_or_the_error_of_the_one_flight() {
    for is_good in [true, false] {
        let flight = Flight::default();
        let (end, flying) = fly(&flight, &StopSignal::new());
        let waiting: Vec<_> = (0..4).map(|_| wait(&flight, &StopSignal::new())).collect();
        until_waiting(&flight, 4);
        let outcome = if is_good { Ok(7) } else { Err(Error::new(ErrorKind::Auth, "refused")) };
        end.send(Some(outcome)).unwrap();
        flying.join().unwrap();
        for waited in waiting {
            let (got, had_the_turn) = waited.join().unwrap();
            assert!(!had_the_turn);
            assert_eq!(got.map_err(|error| error.kind()), if is_good { Ok(7) } else { Err(ErrorKind::Auth) });
        }
        // An error is not kept for those who come later.
        assert_eq!(wait(&flight, &StopSignal::new()).join().unwrap().1, !is_good);
    }
}

#[test]
fn a_stop_ends_the_wait_and_not_the_flight() {
    let flight = Flight::default();
    let (end, flying) = fly(&flight, &StopSignal::new());
    let (stopped, other) = (StopSignal::new(), StopSignal::new());
    let (waits, goes_on) = (wait(&flight, &stopped), wait(&flight, &other));
    until_waiting(&flight, 2);
    stopped.set();
    assert!(waits.join().unwrap().0.is_err());
    end.send(Some(Ok(7))).unwrap();
    flying.join().unwrap();
    assert_eq!(goes_on.join().unwrap().0.unwrap(), 7);
}

#[test]
fn after_a_stop_or_a_panic_in_the_flight_another_caller_takes_the_turn() {
    for is_stop in [true, false] {
        let flight = Flight::default();
        let stop = StopSignal::new();
        let (end, flying) = fly(&flight, &stop);
        let waits = wait(&flight, &StopSignal::new());
        until_waiting(&flight, 1);
        if is_stop {
            stop.set();
        }
        end.send(is_stop.then(|| Err(Error::stopped()))).unwrap();
        flying.join().unwrap();
        let (got, had_the_turn) = waits.join().unwrap();
        assert_eq!((got.unwrap(), had_the_turn), (99, true), "is_stop: {is_stop}");
    }
}
