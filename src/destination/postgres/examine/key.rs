//! What the order of the key's texts costs.

use postgres::types::Type;

use super::privileges::find;
use crate::destination::names::{TableName, quote};
use crate::destination::postgres::server::Server;
use crate::error::Result;
use crate::report::finding::Finding;

/// The columns of unique indexes over exactly this key whose texts are compared by the rules of a language, with the type and the name of
/// the collation. The order of bytes is that of `C`, of `POSIX` and of the provider `builtin` (`b`). A nondeterministic collation decides
/// which keys are one, so it is no matter of costs. A column by which the table is partitioned cannot be changed. PostgreSQL 14 has no column `datlocprovider`.
const LINGUISTIC: &str = "\
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
       CASE c.collprovider WHEN 'd' THEN d.datcollate::text ELSE c.collname::text END
FROM pg_catalog.pg_index AS i
CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k(position)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.position]
JOIN pg_catalog.pg_collation AS c ON c.oid = i.indcollation[k.position]
JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
CROSS JOIN LATERAL (
  SELECT CASE c.collprovider WHEN 'd' THEN coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') ELSE c.collprovider::text END AS provider,
         CASE c.collprovider WHEN 'd' THEN d.datcollate::text ELSE c.collcollate::text END AS locale
) AS rules
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
  AND (SELECT pg_catalog.array_agg(o.attname::text ORDER BY o.attname::text COLLATE \"C\") FROM pg_catalog.pg_attribute AS o
       WHERE o.attrelid = i.indrelid AND o.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])) = $2
  AND c.collisdeterministic AND provider <> 'b' AND NOT (provider = 'c' AND locale IN ('C', 'POSIX'))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table AS p WHERE p.partrelid = i.indrelid AND a.attnum = ANY (p.partattrs))
ORDER BY i.indexrelid, k.position";

/// `None` if the key's texts are compared as bytes, or if there are none.
pub(super) fn order(server: &mut Server, table: &TableName, key: &[String]) -> Result<Option<Finding>> {
    let timeout = server.timeout();
    let found = find(server, table)?;
    let mut names = key.to_vec();
    names.sort();
    let linguistic = server.session()?.run("looking up the key's collation", timeout, |client| {
        let rows = client.query_typed(LINGUISTIC, &[(&found.oid, Type::OID), (&names, Type::TEXT_ARRAY)])?;
        rows.first().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).transpose()
    })?;
    let Some((column, type_name, collation)): Option<(String, String, String)> = linguistic else { return Ok(None) };
    Ok(Some(Finding::warning(
        format!(
            "a unique index over ({}), which compares {column} by the rules of the collation {collation:?}: the order of bytes saves a tenth \
             of the database's work and more",
            key.join(", ")
        ),
        format!(
            "ALTER TABLE {} ALTER COLUMN {} TYPE {type_name} COLLATE \"C\", which rebuilds the index and locks the table in the meantime",
            found.relation.name.quoted(),
            quote(&column)
        ),
    )))
}
