use super::*;
use crate::spool::identity::owner::OWNERS_MAX;
use crate::spool::tests::config;

fn noted(spool: &Spool) -> Vec<(i64, bool)> {
    let writer = spool.writer();
    let mut select = writer.prepare("SELECT id, is_confirmed FROM owners ORDER BY id").unwrap();
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(rusqlite::Result::unwrap).collect()
}

#[test]
fn each_opening_has_an_owner_and_knows_the_earlier_ones() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory.path().join("spool.db"));
    let open = || Spool::open(&config).unwrap();
    let owners: Vec<String> = (0..3).map(|_| open().owner().to_owned()).collect();
    let spool = open();
    let of = |owner: &str| spool.ownership(Some(owner)).unwrap();
    assert!(owners.iter().all(|owner| owner.len() == 32 && of(owner) == Ownership::Earlier));
    assert_eq!(of(spool.owner()), Ownership::Own);
    assert_eq!(of("0123"), Ownership::Foreign);
    assert_eq!(spool.ownership(None).unwrap(), Ownership::Earlier);
    spool.note_checked().unwrap();
    assert!(owners.iter().all(|owner| of(owner) == Ownership::TakenOver), "the destination had a later one");
    assert_eq!(spool.ownership(None).unwrap(), Ownership::TakenOver);
    assert_eq!(of(spool.owner()), Ownership::Own);
    spool.writer().execute("INSERT INTO owners (owner, noted_at) VALUES ('later', 0)", []).unwrap();
    assert_eq!(of("later"), Ownership::Later);
}

/// However long the destination is away, the owner that it has is known.
#[test]
fn the_owners_are_bounded_and_the_last_confirmed_one_stays() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory.path().join("spool.db"));
    let spool = Spool::open(&config).unwrap();
    spool.note_checked().unwrap();
    let confirmed = spool.owner().to_owned();
    let many = "INSERT INTO owners (owner, noted_at)
        WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1) SELECT 'owner ' || n, 0 FROM n";
    spool.writer().execute(many, [3 * OWNERS_MAX]).unwrap();
    drop(spool);
    let spool = Spool::open(&config).unwrap();
    assert_eq!(spool.ownership(Some(&confirmed)).unwrap(), Ownership::Earlier);
    assert_eq!(spool.ownership(Some("owner 1")).unwrap(), Ownership::Foreign);
    let noted = noted(&spool);
    assert_eq!(noted.len(), OWNERS_MAX as usize + 1);
    assert_eq!(noted.iter().filter(|(_, is_confirmed)| *is_confirmed).count(), 1);
}

#[test]
fn a_conflict_is_remembered_until_the_spool_is_renewed() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory.path().join("spool.db"));
    let spool = Spool::open(&config).unwrap();
    crate::spool::tests::append(&spool, &[b"a", b"b"]);
    assert!(spool.conflict().unwrap().is_none());
    let id = spool.id().to_owned();
    let noted = spool.note_conflict("another sink owns it");
    spool.note_conflict("a second one is not noted");
    drop(spool);
    let spool = Spool::open(&config).unwrap();
    let found = spool.conflict().unwrap().unwrap();
    assert_eq!((found.message(), found.hint()), (noted.message(), noted.hint()));
    assert!(found.hint().unwrap().contains("cxsink renew-spool"));
    Spool::renew(&config).unwrap_err();
    drop(spool);
    Spool::renew(&config).unwrap();
    let spool = Spool::open(&config).unwrap();
    assert!(spool.conflict().unwrap().is_none() && spool.id() != id);
    assert_eq!(spool.pending().events, 2);
}
