//! The queries of [`super::catalogue`].
//!
//! Rows go into partitions and, with some extensions, into children of the table; those have constraints, triggers and indexes of
//! their own. So every question about what may refuse or relate rows is asked of the whole tree of tables. A foreign table in it
//! has rules that this catalogue does not show.

/// Sets this user's own search path for this one statement: behind a pooler, another client may have left its own on the server
/// connection. The name depends on `own`, so the server looks it up after that. The last column is whether an INSERT does to a new row
/// what an upsert does. Policies judge the two by different rules. Of the triggers for INSERT or UPDATE (bits 4 and 16 of `tgtype`) only
/// those AFTER FOR EACH ROW (1 of the bits 1, 2 and 64) that see no other row of the statement are called for the same rows, once each.
pub(super) const FIND: &str = "\
WITH own AS MATERIALIZED (
  SELECT pg_catalog.set_config('search_path', reset_val, true) AS path FROM pg_catalog.pg_settings WHERE name = 'search_path'
)
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text,
       to_regclass(quote_ident(n.nspname::text) || '.' || quote_ident($2)) IS NOT NULL,
       NOT EXISTS (
         WITH RECURSIVE tree(oid, relrowsecurity) AS (
           SELECT c.oid, c.relrowsecurity
           UNION
           SELECT p.oid, p.relrowsecurity FROM pg_catalog.pg_inherits AS i JOIN tree ON tree.oid = i.inhparent
           JOIN pg_catalog.pg_class AS p ON p.oid = i.inhrelid
         )
         SELECT FROM tree WHERE relrowsecurity OR EXISTS (
           SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = tree.oid AND NOT tgisinternal AND tgenabled <> 'D'
           AND tgtype & 20 <> 0 AND (tgtype & 67 <> 1 OR tgoldtable IS NOT NULL OR tgnewtable IS NOT NULL)))
FROM own, pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(CASE WHEN own.path IS NOT NULL THEN $1 END)";

/// A domain, also one over another domain, is read as its base type: the modifier is that of the lowest one, NOT NULL and a default
/// may come from any. An array has a second type, that of its elements, with the modifier of the array. Of each the query has the name
/// in SQL, and the labels if it is an enum. One column is whether a text may change on its way into the database's encoding.
pub(super) const COLUMNS: &str = "\
WITH RECURSIVE layer AS (
  SELECT a.attnum, a.atttypid AS type_oid, a.atttypmod AS modifier, false AS is_element
  FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT l.attnum, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END,
         CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE l.modifier END, l.is_element OR t.typtype <> 'd'
  FROM layer AS l JOIN pg_catalog.pg_type AS t ON t.oid = l.type_oid
  WHERE t.typtype = 'd' OR NOT l.is_element AND t.typcategory = 'A' AND t.typlen = -1 AND t.typelem <> 0
), base AS (
  SELECT l.attnum, l.is_element, l.type_oid, l.modifier, t.typname::text AS name, t.typdelim::text AS delimiter,
         pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) AS sql_name,
         ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels
  FROM layer AS l JOIN pg_catalog.pg_type AS t ON t.oid = l.type_oid AND t.typtype <> 'd'
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
)
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), b.type_oid, b.modifier,
       a.attnotnull OR EXISTS (SELECT FROM layer AS d JOIN pg_catalog.pg_type AS t ON t.oid = d.type_oid
                               WHERE d.attnum = a.attnum AND NOT d.is_element AND t.typnotnull),
       a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''
         OR EXISTS (SELECT FROM pg_catalog.pg_type AS t WHERE t.oid = a.atttypid AND t.typdefault IS NOT NULL),
       (SELECT pg_catalog.pg_encoding_to_char(encoding) <> 'UTF8' AND pg_catalog.pg_encoding_max_length(encoding) > 1
        FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
       b.name, b.sql_name, b.labels, e.type_oid, e.modifier, e.name, e.sql_name, e.labels, e.delimiter,
       a.attidentity = 'a' OR a.attgenerated <> ''
FROM pg_catalog.pg_attribute AS a
JOIN base AS b ON b.attnum = a.attnum AND NOT b.is_element
LEFT JOIN base AS e ON e.attnum = a.attnum AND e.is_element
WHERE a.attrelid = $1
ORDER BY a.attnum";

/// A deferrable constraint, a condition or an expression make an index unusable for ON CONFLICT (columns)
/// (PostgreSQL manual, INSERT, "ON CONFLICT Clause"). The last column is whether the index takes two different values for one: by
/// its collation, or possibly by an operator class that is not built in (objects of users have oids from 16384 on).
pub(super) const UNIQUE_KEYS: &str = "\
SELECT i.indexrelid, a.attname::text, NOT coalesce(c.collisdeterministic, true) OR i.indclass[k.position] >= 16384
FROM pg_catalog.pg_index AS i
CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k(position)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.position]
LEFT JOIN pg_catalog.pg_collation AS c ON c.oid = i.indcollation[k.position]
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indisprimary DESC, i.indexrelid, k.position";

/// The table, its partitions and its children; and the unique indexes among them that no upsert can name. One of these is an index
/// that a partition has for itself, another one that is not valid yet: it refuses rows all the same.
const TREE: &str = "\
WITH RECURSIVE tree(oid) AS (
  SELECT $1::oid
  UNION
  SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree ON tree.oid = i.inhparent
), other_index AS (
  SELECT 1 FROM pg_catalog.pg_index AS i JOIN tree ON tree.oid = i.indrelid JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
  WHERE i.indisunique
  AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL OR NOT i.indimmediate OR NOT i.indisvalid
       OR c.relispartition AND i.indrelid <> $1 AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = i.indexrelid)
       OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                  WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) AND a.attgenerated <> ''))
), foreign_table AS (
  SELECT 1 FROM pg_catalog.pg_class AS c JOIN tree USING (oid) WHERE c.relkind = 'f'
)";

/// Whether anything besides plain unique indexes can refuse a row for its values or do more than store it: constraints of the
/// tables and of their columns' domains, triggers, row security, generated columns, NOT NULL of a partition alone, and the other
/// unique indexes.
pub(super) fn guards() -> String {
    format!(
        "{TREE}, layer(oid) AS (
  SELECT a.atttypid FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT t.typbasetype FROM pg_catalog.pg_type AS t JOIN layer USING (oid) WHERE t.typtype = 'd'
)
SELECT EXISTS (SELECT FROM other_index) OR EXISTS (SELECT FROM foreign_table)
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint JOIN tree ON tree.oid = conrelid WHERE contype IN ('c', 'f', 'x'))
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint JOIN layer ON layer.oid = contypid WHERE contype = 'c')
    OR EXISTS (SELECT FROM pg_catalog.pg_trigger JOIN tree ON tree.oid = tgrelid WHERE NOT tgisinternal AND tgenabled <> 'D')
    OR EXISTS (SELECT FROM pg_catalog.pg_attribute JOIN tree ON tree.oid = attrelid
               WHERE attnum > 0 AND NOT attisdropped AND attgenerated <> '')
    OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS own
               JOIN pg_catalog.pg_attribute AS a USING (attname) JOIN tree ON tree.oid = a.attrelid
               WHERE own.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT own.attnotnull)
    OR EXISTS (SELECT FROM pg_catalog.pg_class JOIN tree USING (oid) WHERE relrowsecurity)"
    )
}

/// Whether the order of two keys can matter: a foreign key to the table itself, an exclusion constraint, one of the other
/// unique indexes, or a trigger that can give the row another key (BEFORE INSERT FOR EACH ROW, bits 1, 2 and 4 of `tgtype`). Other
/// triggers and row-security policies cannot be analysed and are ignored here; most read their own row only.
pub(super) fn relations() -> String {
    format!(
        "{TREE}
SELECT EXISTS (SELECT FROM other_index) OR EXISTS (SELECT FROM foreign_table)
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint JOIN tree ON tree.oid = conrelid
               WHERE contype = 'x' OR contype = 'f' AND confrelid IN (SELECT oid FROM tree))
    OR EXISTS (SELECT FROM pg_catalog.pg_trigger JOIN tree ON tree.oid = tgrelid
               WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 7 = 7)"
    )
}
