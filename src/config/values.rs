//! The merged values: typed access by path, with the table's default where nothing was written.
//!
//! Every value here was checked against its key, so a wrong type is a fault of the program, not of the user.

use std::time::Duration;

use config::{Value, ValueKind};

use super::keys::{self, Kind};
use crate::logic::picture::Rect;

/// What all layers say together.
pub(super) struct Values(Value);

impl Values {
    pub(super) fn new(root: Value) -> Self {
        Self(root)
    }

    /// The names in a family (`cameras`, `notify`), sorted.
    pub(super) fn names(&self, family: &str) -> Vec<String> {
        let Some(ValueKind::Table(named)) = self.written(family).map(|value| &value.kind) else {
            return Vec::new();
        };
        let mut names: Vec<String> = named.keys().cloned().collect();
        names.sort();
        names
    }

    /// Where the value was written; empty for a default.
    pub(super) fn place(&self, path: &str) -> &str {
        self.written(path).and_then(Value::origin).unwrap_or_default()
    }

    /// Whether a layer sets the key to something else than its default. A copy of the annotated file sets nothing.
    pub(super) fn differs(&self, path: &str) -> bool {
        match (self.written(path).map(|value| &value.kind), kind(path)) {
            (None, _) => false,
            (Some(ValueKind::String(text)), Kind::Text { default, .. }) => text != default,
            (Some(ValueKind::String(text)), Kind::Choice(words)) => text != words[0],
            (Some(ValueKind::String(text)), _) => !text.is_empty(),
            (Some(ValueKind::Boolean(switch)), Kind::Switch(default)) => switch != default,
            (Some(ValueKind::I64(number)), Kind::Integer { default, .. }) => number != default,
            (Some(_), _) => true,
        }
    }

    /// Whether a layer sets the key to something else than an empty text.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.written(path)
            .is_some_and(|value| !matches!(&value.kind, ValueKind::String(text) if text.is_empty()))
    }

    pub(super) fn text(&self, path: &str) -> String {
        match (self.written(path).map(|value| &value.kind), kind(path)) {
            (Some(ValueKind::String(text)), _) => text.clone(),
            (_, Kind::Text { default, .. }) => (*default).to_owned(),
            (_, Kind::Choice(words)) => words[0].to_owned(),
            (_, Kind::Secret { .. }) => String::new(),
            _ => unreachable!("{path} is not text in the table of keys"),
        }
    }

    /// The text unless it is empty.
    pub(super) fn filled(&self, path: &str) -> Option<String> {
        Some(self.text(path)).filter(|text| !text.is_empty())
    }

    pub(super) fn switch(&self, path: &str) -> bool {
        match (self.written(path).map(|value| &value.kind), kind(path)) {
            (Some(ValueKind::Boolean(switch)), _) => *switch,
            (_, Kind::Switch(default)) => *default,
            _ => unreachable!("{path} is not a switch in the table of keys"),
        }
    }

    /// A whole number as any type that its range fits.
    pub(super) fn integer<T: TryFrom<i64>>(&self, path: &str) -> T {
        let number = match (self.written(path).map(|value| &value.kind), kind(path)) {
            (Some(ValueKind::I64(number)), _) => *number,
            (_, Kind::Integer { default, .. }) => *default,
            _ => unreachable!("{path} is not a whole number in the table of keys"),
        };
        T::try_from(number).ok().expect("the range in the table of keys fits the type")
    }

    pub(super) fn number(&self, path: &str) -> f64 {
        match (self.written(path).map(|value| &value.kind), kind(path)) {
            (Some(ValueKind::Float(number)), _) => *number,
            (_, Kind::Number { default, .. }) => *default,
            _ => unreachable!("{path} is not a number in the table of keys"),
        }
    }

    pub(super) fn seconds(&self, path: &str) -> Duration {
        Duration::from_secs_f64(self.number(path))
    }

    /// The time between two looks, from looks per second.
    pub(super) fn interval(&self, path: &str) -> Duration {
        Duration::from_secs_f64(self.number(path).recip())
    }

    pub(super) fn rects(&self, path: &str) -> Vec<Rect> {
        match (self.written(path).map(|value| &value.kind), kind(path)) {
            (Some(ValueKind::Array(rects)), _) => rects.iter().map(rect).collect(),
            (_, Kind::Rects) => Vec::new(),
            _ => unreachable!("{path} is not a list of rectangles in the table of keys"),
        }
    }

    fn written(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.0, |value, part| match &value.kind {
            ValueKind::Table(table) => table.get(part),
            _ => None,
        })
    }
}

fn kind(path: &str) -> &'static Kind {
    &keys::find(path).unwrap_or_else(|| unreachable!("{path} is not in the table of keys")).kind
}

fn rect(value: &Value) -> Rect {
    let ValueKind::Array(sides) = &value.kind else { unreachable!("checked when it was read") };
    #[expect(clippy::cast_possible_truncation, reason = "fractions of a picture need no more than f32")]
    let side = |at: usize| match sides[at].kind {
        ValueKind::Float(side) => side as f32,
        _ => unreachable!("checked when it was read"),
    };
    Rect { x: side(0), y: side(1), w: side(2), h: side(3) }
}
