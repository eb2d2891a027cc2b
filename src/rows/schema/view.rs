//! The view of an event through which the validator spends its budget.
//!
//! A validation cannot be interrupted. So when the budget is spent, every array and object looks empty: nothing recurses into the event
//! any more, and the validation ends by itself within moments. Its findings from then on do not count.

use std::borrow::Cow;
use std::ops::ControlFlow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, SerdeJson, unique};
use serde_json::{Map, Number, Value, map};

use crate::rows::schema::budget::Budget;

/// JSON that is read under a budget.
#[derive(Debug)]
pub(super) struct Budgeted;

/// A value of an event, or the name of a member.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    value: &'a Value,
    budget: &'a Budget,
}

/// Marks an error that was found when the budget was spent. No other error has it, as none has the value that it is about.
const NOT_COUNTED: Value = Value::Bool(true);

/// Whether an error was found within the budget.
pub(super) fn counts(error: &jsonschema::ValidationError<'_>) -> bool {
    **error.instance() != NOT_COUNTED
}

impl<'a> View<'a> {
    pub(super) fn new(value: &'a Value, budget: &'a Budget) -> Self {
        Self { value, budget }
    }

    /// For keywords of our own.
    pub(super) fn budget(&self) -> &'a Budget {
        self.budget
    }
}

impl Json for Budgeted {
    type Node<'a> = View<'a>;
    type PreparedKey = String;
    type StringBuffer = (Value, Budget);

    // As for the library's own representation of the same values.
    const KEYS_PER_LOOKUP: usize = SerdeJson::KEYS_PER_LOOKUP;
    const ACYCLIC: bool = SerdeJson::ACYCLIC;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((name, budget): &mut (Value, Budget), string: &str, f: impl FnOnce(View<'_>) -> T) -> T {
        *name = Value::String(string.to_owned());
        f(View::new(name, budget))
    }
}

impl<'a> Node<'a, Budgeted> for View<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = &'a Number;

    #[inline]
    fn as_object(&self) -> Option<Members<'a>> {
        let members = self.value.as_object()?;
        self.budget.spend(1).then_some(Members { members, budget: self.budget })
    }

    #[inline]
    fn as_array(&self) -> Option<Items<'a>> {
        let items = self.value.as_array()?;
        self.budget.spend(1).then_some(Items { items, budget: self.budget })
    }

    #[inline]
    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.value.as_str()?;
        self.budget.spend(text_steps(text)).then_some(Cow::Borrowed(text))
    }

    #[inline]
    fn as_number(&self) -> Option<&'a Number> {
        self.budget.spend(1);
        self.value.as_number()
    }

    #[inline]
    fn as_boolean(&self) -> Option<bool> {
        self.value.as_bool()
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.value.is_null()
    }

    #[inline]
    fn json_type(&self) -> JsonType {
        self.budget.spend(1);
        Node::<SerdeJson>::json_type(&self.value)
    }

    fn string_length(&self) -> Option<u64> {
        self.budget.spend(text_steps(self.value.as_str()?));
        Node::<SerdeJson>::string_length(&self.value)
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        self.budget.spend(text_steps(self.value.as_str()?));
        Node::<SerdeJson>::string_length_within(&self.value, min, max)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.budget.spend(1);
        Node::<SerdeJson>::equals_value(&self.value, expected)
    }

    /// The value that an error is about. No message shows it, so none is copied; the library would copy it for each error of an
    /// alternative.
    fn to_value(&self) -> Cow<'a, Value> {
        let within = !self.budget.is_spent();
        self.budget.spend_reason(self.value.as_object().map_or(0, names_bytes));
        Cow::Owned(if within { Value::Null } else { NOT_COUNTED })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Node::<SerdeJson>::identity(&self.value)
    }
}

/// The members of an object.
#[derive(Debug)]
pub(super) struct Members<'a> {
    members: &'a Map<String, Value>,
    budget: &'a Budget,
}

impl<'a> Object<'a, Budgeted> for Members<'a> {
    type Node = View<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.members.len()
    }

    #[inline]
    fn get(&self, key: &String) -> Option<View<'a>> {
        if !self.budget.spend(1) {
            return None;
        }
        Object::<SerdeJson>::get(&self.members, key).map(|value| View::new(value, self.budget))
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter { members: self.members.iter(), budget: self.budget }
    }

    fn try_for_each_name_node<B>(
        &self,
        (name, _): &mut (Value, Budget),
        mut f: impl FnMut(View<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (member, _) in self.members() {
            match name {
                Value::String(name) => member.clone_into(name),
                _ => *name = Value::String(member.to_owned()),
            }
            f(View::new(name, self.budget))?;
        }
        ControlFlow::Continue(())
    }
}

#[derive(Debug)]
pub(super) struct MembersIter<'a> {
    members: map::Iter<'a>,
    budget: &'a Budget,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, View<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if !self.budget.spend(1) {
            return None;
        }
        self.members.next().map(|(name, value)| (name.as_str(), View::new(value, self.budget)))
    }
}

/// The items of an array.
#[derive(Debug)]
pub(super) struct Items<'a> {
    items: &'a [Value],
    budget: &'a Budget,
}

impl<'a> Array<'a, Budgeted> for Items<'a> {
    type Node = View<'a>;
    type ElementsIter = ItemsIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    fn elements(&self) -> ItemsIter<'a> {
        ItemsIter { items: self.items.iter(), budget: self.budget }
    }

    fn is_unique(&self) -> bool {
        // Each item is read to its end, which the nesting of such arrays repeats.
        self.budget.spend(self.items.iter().map(values).sum()) && unique::is_unique(self.items)
    }
}

#[derive(Debug)]
pub(super) struct ItemsIter<'a> {
    items: std::slice::Iter<'a, Value>,
    budget: &'a Budget,
}

impl<'a> Iterator for ItemsIter<'a> {
    type Item = View<'a>;

    #[inline]
    fn next(&mut self) -> Option<View<'a>> {
        if !self.budget.spend(1) {
            return None;
        }
        self.items.next().map(|value| View::new(value, self.budget))
    }
}

/// The steps of reading a text.
fn text_steps(text: &str) -> u64 {
    1 + text.len() as u64 / 32
}

/// The number of values in a value, itself included.
fn values(value: &Value) -> u64 {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(members) => members.values().map(values).sum(),
        Value::String(text) => text_steps(text),
        _ => 0,
    }
}

/// The memory for a list of all names of an object's members.
fn names_bytes(members: &Map<String, Value>) -> usize {
    members.keys().map(|name| size_of::<String>() + name.len()).sum()
}
