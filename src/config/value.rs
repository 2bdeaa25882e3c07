//! One written value against the kind of its key.
//!
//! Not here: where values come from, see [`super::layers`]; how values fit each other, see [`super::check`].

use config::{Value, ValueKind};
use toml::de::{DeArray, DeValue};

use super::keys::{Key, Kind};

/// A value as it was written.
pub(super) enum Written<'a> {
    /// In a file, with a type.
    Toml(&'a DeValue<'a>),
    /// In the environment or on the command line: always text.
    Text(&'a str),
}

/// A value that its key does not take.
pub(super) struct Refused {
    /// The value for people; none when it is secret.
    pub(super) shown: Option<String>,
    pub(super) message: String,
}

/// The value in the key's own type, or why not.
pub(super) fn read(key: &Key, written: &Written<'_>) -> Result<ValueKind, Refused> {
    typed(&key.kind, written).map_err(|message| {
        let secret = matches!(key.kind, Kind::Secret { .. });
        Refused { shown: (!secret).then(|| show(written)), message }
    })
}

/// The values that a key takes, for messages and the manual.
pub(super) fn allowed(kind: &Kind) -> String {
    let range = |min: &dyn std::fmt::Display, max: &dyn std::fmt::Display, unit: &str| {
        if unit.is_empty() { format!("{min} to {max}") } else { format!("{min} to {max} {unit}") }
    };
    match kind {
        Kind::Text { allowed, .. } | Kind::Secret { allowed, .. } => (*allowed).to_owned(),
        Kind::Choice(words) => words.join(", "),
        Kind::Switch(_) => "true or false".to_owned(),
        Kind::Integer { min, max, unit, .. } => range(min, max, unit),
        Kind::Number { min, max, unit, .. } => range(min, max, unit),
        Kind::Rects => "a list of [x, y, width, height], each 0 to 1, inside the picture".to_owned(),
    }
}

fn typed(kind: &Kind, written: &Written<'_>) -> Result<ValueKind, String> {
    let allowed = || allowed(kind);
    match kind {
        Kind::Text { check, .. } | Kind::Secret { check, .. } => {
            let text = text(written).ok_or("needs to be text in \"quotes\"")?;
            check(text)?;
            Ok(ValueKind::String(text.to_owned()))
        }
        Kind::Choice(words) => match text(written) {
            Some(text) if words.contains(&text) => Ok(ValueKind::String(text.to_owned())),
            _ => Err(format!("not known, allowed: {}", allowed())),
        },
        Kind::Switch(_) => switch(written)
            .map(ValueKind::Boolean)
            .ok_or_else(|| format!("not a switch, allowed: {}", allowed())),
        Kind::Integer { min, max, .. } => {
            let number =
                integer(written).ok_or_else(|| format!("not a whole number, allowed: {}", allowed()))?;
            if (min..=max).contains(&&number) { Ok(ValueKind::I64(number)) } else { out_of_range(&allowed()) }
        }
        Kind::Number { min, max, .. } => {
            let number = number(written).ok_or_else(|| format!("not a number, allowed: {}", allowed()))?;
            if (min..=max).contains(&&number) {
                Ok(ValueKind::Float(number))
            } else {
                out_of_range(&allowed())
            }
        }
        Kind::Rects => rects(written).map_err(|why| format!("{why}, allowed: {}", allowed())),
    }
}

fn out_of_range<T>(allowed: &str) -> Result<T, String> {
    Err(format!("out of range, allowed: {allowed}"))
}

fn text<'a>(written: &'a Written<'_>) -> Option<&'a str> {
    match written {
        Written::Toml(value) => value.as_str(),
        Written::Text(text) => Some(text),
    }
}

fn switch(written: &Written<'_>) -> Option<bool> {
    match written {
        Written::Toml(value) => value.as_bool(),
        Written::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Some(true),
            "false" | "off" | "no" | "0" => Some(false),
            _ => None,
        },
    }
}

fn integer(written: &Written<'_>) -> Option<i64> {
    match written {
        Written::Toml(value) => {
            let digits = value.as_integer()?;
            i64::from_str_radix(digits.as_str(), digits.radix()).ok()
        }
        Written::Text(text) => text.trim().parse().ok(),
    }
}

/// A finite number; whole numbers count.
fn number(written: &Written<'_>) -> Option<f64> {
    let number: f64 = match written {
        Written::Toml(DeValue::Float(digits)) => digits.as_str().parse().ok()?,
        #[expect(clippy::cast_precision_loss, reason = "every range ends far below 2^53")]
        Written::Toml(_) => integer(written)? as f64,
        Written::Text(text) => text.trim().parse().ok()?,
    };
    number.is_finite().then_some(number)
}

fn rects(written: &Written<'_>) -> Result<ValueKind, &'static str> {
    match written {
        Written::Toml(value) => value.as_array().ok_or("not a list").and_then(rect_list),
        Written::Text(text) => {
            let parsed = DeValue::parse(text).map_err(|_| "not a list")?;
            parsed.get_ref().as_array().ok_or("not a list").and_then(rect_list)
        }
    }
}

fn rect_list(list: &DeArray<'_>) -> Result<ValueKind, &'static str> {
    const MOST: usize = 64;
    if list.len() > MOST {
        return Err("more than 64 rectangles");
    }
    let rects: Result<Vec<Value>, &str> = list.iter().map(|item| rect(item.get_ref())).collect();
    Ok(ValueKind::Array(rects?))
}

fn rect(item: &DeValue<'_>) -> Result<Value, &'static str> {
    const SHAPE: &str = "a rectangle needs four numbers";
    let sides: Option<Vec<f64>> =
        item.as_array().ok_or(SHAPE)?.iter().map(|side| number(&Written::Toml(side.get_ref()))).collect();
    let [x, y, w, h] = sides.ok_or(SHAPE)?.try_into().map_err(|_| SHAPE)?;
    // A little more than 1, so that 0.1 + 0.9 never fails by rounding.
    const EDGE: f64 = 1.000_001;
    let inside = x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0 && x + w <= EDGE && y + h <= EDGE;
    if !inside {
        return Err("a rectangle is empty or leaves the picture");
    }
    Ok(Value::new(None, ValueKind::Array([x, y, w, h].map(|side| Value::new(None, side)).to_vec())))
}

/// The value as people wrote it, on one line and not long.
fn show(written: &Written<'_>) -> String {
    match written {
        Written::Text(text) => quote(text),
        Written::Toml(DeValue::String(text)) => quote(text),
        Written::Toml(DeValue::Integer(digits)) if digits.radix() == 10 => shorten(digits.as_str()),
        Written::Toml(DeValue::Integer(_)) => "a whole number".to_owned(),
        Written::Toml(DeValue::Float(digits)) => shorten(digits.as_str()),
        Written::Toml(DeValue::Boolean(switch)) => switch.to_string(),
        Written::Toml(DeValue::Datetime(time)) => time.to_string(),
        Written::Toml(DeValue::Array(_)) => "a list".to_owned(),
        Written::Toml(DeValue::Table(_)) => "a section".to_owned(),
    }
}

pub(super) fn quote(text: &str) -> String {
    format!("{:?}", shorten(text))
}

fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
