//! The checks on histories that are right and on histories that are not.

#[test]
fn nothing_is_nothing_wrong() {
    assert!(menagerie_history::History::new().check().is_sound());
}
