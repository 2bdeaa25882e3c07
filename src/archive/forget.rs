//! Forgetting a person: what names them goes, what only compares with them keeps silent about them.

use rusqlite::params;
use serde_json::{Map, Value};

use super::read::{Row, parsed, row_of};
use super::{Archive, database};
use crate::database::Fault;
use crate::logic::input::Now;

/// Numbers of rows, and their records from now on.
type NewRecords = Vec<(i64, String)>;

impl Archive {
    /// Removes every event of a person with its files, and their slug from all others; with them all that damaged
    /// databases left behind. Tried again each minute if the disk does not let us.
    pub fn forget(&mut self, now: Now, slug: &str) {
        self.flush(now);
        match self.guarded(|archive| archive.try_to_forget(slug)) {
            Ok(removed) => {
                self.deliveries.retain(|delivery| !names(&delivery.record, slug));
                for delivery in &mut self.deliveries {
                    keep_silent(&mut delivery.record, slug);
                }
                tracing::info!("{removed} events of a person were removed");
                self.tell_size();
            }
            Err(fault) => {
                tracing::error!("a person is not forgotten yet, it is tried again: {}", fault.words());
                self.to_forget.push(slug.to_owned());
            }
        }
    }

    fn try_to_forget(&mut self, slug: &str) -> Result<usize, Fault> {
        let (gone, changed) = self.about(slug)?;
        // What is removed is overwritten, and the log that still has it is emptied.
        self.db.execute_batch("PRAGMA secure_delete = ON")?;
        let change = self.db.unchecked_transaction()?;
        for (seq, text) in changed {
            change.execute("UPDATE records SET record = ?2 WHERE seq = ?1", params![seq, text])?;
        }
        change.commit()?;
        self.drop_events(&gone)?;
        self.db.execute_batch("PRAGMA secure_delete = OFF")?;
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        // Nobody can say any more whom these show.
        self.drop_strays();
        database::remove_damaged(&self.folder)?;
        Ok(gone.len())
    }

    /// The events that go, and the numbers and new records of those that only have to keep silent.
    fn about(&self, slug: &str) -> Result<(Vec<Row>, NewRecords), Fault> {
        let (mut gone, mut changed) = (Vec::new(), Vec::new());
        let mut rows = self.db.prepare(
            "SELECT e.seq, e.id, e.ts, e.pinned, e.files, r.record, e.person IS ?1
             FROM events e LEFT JOIN records r ON r.seq = e.seq WHERE e.person IS ?1 OR instr(r.record, ?2)",
        )?;
        // As JSON spells it; most records are passed over without being parsed.
        let mut rows = rows.query(params![slug, Value::from(slug).to_string()])?;
        while let Some(row) = rows.next()? {
            let text: Option<String> = row.get(5)?;
            let mut record = parsed(text.as_deref());
            if row.get(6)? || names(&record, slug) {
                gone.push(row_of(row)?);
            } else if keep_silent(&mut record, slug) {
                let seq: i64 = row.get(0)?;
                changed.push((seq, Value::Object(record).to_string()));
            }
        }
        Ok((gone, changed))
    }
}

/// Whether an event is about a person: it names them, or corrects that it did.
fn names(record: &Map<String, Value>, slug: &str) -> bool {
    ["person", "was"].iter().any(|key| record.get(*key).and_then(Value::as_str) == Some(slug))
}

/// Removes what compares a face with a person; says whether there was anything.
fn keep_silent(record: &mut Map<String, Value>, slug: &str) -> bool {
    let second = record.get("second").and_then(|second| second.get("person")).and_then(Value::as_str);
    let rejected = record.get("rejected").and_then(Value::as_str);
    if second != Some(slug) && rejected != Some(slug) {
        return false;
    }
    for key in ["second", "margin", "rejected"] {
        record.remove(key);
    }
    true
}
