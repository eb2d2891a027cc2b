use super::*;

fn cursor(events: u64, replay_events: u32) -> Cursor {
    Cursor::new(&SimulatorOptions { events: Some(events), replay_events, ..SimulatorOptions::default() })
}

fn positions(batch: &Batch) -> Vec<u64> {
    batch.pieces.iter().map(|piece| piece.entry.body).collect()
}

#[test]
fn unwritten_events_are_sent_next_and_in_order() {
    let cursor = cursor(10, 0);
    let mut batch = Batch::default();
    let first = cursor.open();
    assert_eq!(cursor.fill(first, 6, usize::MAX, &mut batch), Fill::Events);
    let third_ends = batch.messages[2].end;
    assert_eq!(batch.messages_in(third_ends), (3, None));
    assert_eq!(batch.messages_in(third_ends + 1), (3, Some(batch.messages[3].end)));
    cursor.record_sent(&batch, 3);
    cursor.close(first);

    let second = cursor.open();
    cursor.fill(second, 99, usize::MAX, &mut batch);
    assert_eq!(positions(&batch), [3, 4, 5, 6, 7, 8, 9]);
    cursor.record_sent(&batch, 7);
    assert!(cursor.report().finished);
    assert_eq!(cursor.fill(second, 99, usize::MAX, &mut batch), Fill::AtEnd);
}

#[test]
fn a_new_connection_takes_over_once_the_old_batch_is_recorded() {
    let cursor = cursor(10, 2);
    let (mut old_batch, mut batch) = (Batch::default(), Batch::default());
    let old = cursor.open();
    cursor.fill(old, 4, usize::MAX, &mut old_batch);
    let new = cursor.open();
    assert_eq!(cursor.fill(new, 4, usize::MAX, &mut batch), Fill::NotNow);
    cursor.record_sent(&old_batch, 3);
    assert_eq!(cursor.fill(old, 4, usize::MAX, &mut old_batch), Fill::NotNow);
    cursor.fill(new, 4, usize::MAX, &mut batch);
    assert_eq!(positions(&batch), [1, 2, 3, 4], "the last two again, then the events that the old one did not send");
    cursor.record_sent(&batch, 4);
    assert_eq!(cursor.report().replays, 2);

    cursor.close(new);
    cursor.fill(old, 2, usize::MAX, &mut batch);
    assert_eq!(positions(&batch), [5, 6], "the old one continues, without a replay");
}

#[test]
fn an_interrupted_replay_begins_again() {
    let cursor = cursor(10, 3);
    let mut batch = Batch::default();
    for (connection, expected) in [(1, vec![0, 1, 2, 3]), (2, vec![1, 2, 3, 4]), (3, vec![1, 2, 3, 4])] {
        let id = cursor.open();
        cursor.fill(id, 4, usize::MAX, &mut batch);
        assert_eq!(positions(&batch), expected);
        cursor.record_sent(&batch, if connection == 2 { 1 } else { 4 });
        cursor.close(id);
    }
    let report = cursor.report();
    assert_eq!((report.events, report.replays, report.positions()), (9, 4, 5));
}

#[test]
fn a_message_that_was_not_acknowledged_comes_again_on_the_next_connection() {
    let options = SimulatorOptions {
        profile: crate::simulator::Profile::EightByEight,
        events: Some(6),
        ..SimulatorOptions::default()
    };
    let cursor = Cursor::new(&options);
    let mut batch = Batch::default();
    let first = cursor.open();
    cursor.fill(first, 4, usize::MAX, &mut batch);
    cursor.record_sent(&batch, 3);
    cursor.acknowledge(2);
    cursor.acknowledge(99);
    cursor.close(first);

    let second = cursor.open();
    cursor.fill(second, 2, usize::MAX, &mut batch);
    assert_eq!(positions(&batch), [0, 2]);
    cursor.record_sent(&batch, 1);
    cursor.acknowledge(1);
    cursor.close(second);

    let third = cursor.open();
    cursor.fill(third, 99, usize::MAX, &mut batch);
    assert_eq!(positions(&batch), [0, 2, 3, 4, 5], "an acknowledgement of the first connection came too late");
    cursor.record_sent(&batch, 5);
    let report = cursor.report();
    assert_eq!((report.events, report.replays, report.acknowledgements_received), (9, 3, 3));
    assert!(report.finished);
}

#[test]
fn a_fault_falls_between_two_events_of_an_array() {
    let options = SimulatorOptions {
        message_form: crate::simulator::MessageForm::Array,
        message_events: 4,
        events: Some(10),
        ..SimulatorOptions::default()
    };
    let cursor = Cursor::new(&options);
    let mut batch = Batch::default();
    let id = cursor.open();
    cursor.fill(id, 6, usize::MAX, &mut batch);
    assert_eq!((batch.messages.len(), batch.pieces.len()), (2, 6));
    let (whole, partial) = batch.messages_in(batch.messages[0].end + 1);
    assert_eq!((whole, batch.events_in(whole), partial), (1, 4, Some(batch.bytes.len())));
    cursor.record_sent(&batch, 1);
    cursor.fill(id, 99, usize::MAX, &mut batch);
    assert_eq!(positions(&batch), [4, 5, 6, 7, 8, 9]);
    assert_eq!(batch.messages.iter().map(|message| message.pieces_end).collect::<Vec<_>>(), [4, 6]);
}
