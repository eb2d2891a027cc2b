//! Tables that follow from a mapping and a schema.

use crate::config::{MappingConfig, SchemaConfig};
use crate::rows::new_table::*;

const SCHEMA: &str = r#"{"type": "object", "required": ["id", "at", "who", "n"], "properties": {
    "id": {"type": "string", "maxLength": 40}, "at": {"type": "string", "format": "date-time"}, "n": {"type": ["integer", "null"]},
    "price": {"type": "number"}, "count": {"type": ["number", "integer"]}, "open": {"type": "boolean"},
    "day": {"type": "string", "format": "date"}, "who": {"type": "string", "format": "uuid"}, "kind": {"enum": ["a", "bcd"]},
    "long": {"type": "string", "maxLength": 20000000}, "empty": {"const": ""}, "items": {"type": "array"},
    "any": {"type": ["string", "number"]}, "inner": {"type": "object", "additionalProperties": false}, "either": {"anyOf": [{}]}}}"#;

#[test]
fn each_column_has_the_type_of_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.json");
    std::fs::write(&file, SCHEMA).unwrap();
    let schema = Schema::load(&SchemaConfig { file: Some(file), ..SchemaConfig::default() }, 1000).unwrap();
    let text = |chars_max| ColumnType::Text { chars_max };
    let numeric = ColumnType::Numeric { precision_scale: None };
    let expected = [
        ("/id", text(Some(40)), true),
        ("/at", ColumnType::TimestampTz, true),
        ("/n", ColumnType::Int8, false),
        ("/price", numeric.clone(), false),
        ("/count", numeric, false),
        ("/open", ColumnType::Bool, false),
        ("/day", ColumnType::Date, false),
        ("/who", ColumnType::Uuid, true),
        ("/kind", text(Some(3)), false),
        ("/long", text(None), false),
        ("/empty", text(Some(1)), false),
        ("/items", ColumnType::Jsonb, false),
        ("/any", text(None), false),
        ("/inner/x", text(None), false),
        ("/either", text(None), false),
        ("/unknown", text(None), false),
        ("rest", ColumnType::Jsonb, false),
        ("", ColumnType::Jsonb, true),
        ("now", ColumnType::TimestampTz, true),
    ];
    let mut mapping = MappingConfig::default();
    mapping.columns = expected.iter().map(|(source, ..)| ((*source).to_owned(), (*source).into())).collect();
    mapping.key = vec!["/id".into(), "/items".into()];
    let table = NewTable::new(&mapping, &schema);
    assert_eq!(table.key, mapping.key);
    for (column, (source, column_type, not_null)) in table.columns.iter().zip(expected) {
        let expected = if source == "/items" { (text(None), true) } else { (column_type, not_null) };
        assert_eq!((column.column_type.clone(), column.not_null), expected, "{source}");
        assert_eq!(column.is_now, source == "now");
    }
}
