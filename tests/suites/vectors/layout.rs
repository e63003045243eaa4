//! The text layout of the reference implementation, octet for octet (crypto §1.6). Only the
//! vectors need it: what we write ourselves is compact.

use serde_json::{Map, Value};

/// Columns after which the reference breaks a Binary value.
const COLUMNS: usize = 63;

/// Writes a tagged object as the reference does. `is_binary` says which text members are Binary
/// values, by their names: only those are folded.
pub(crate) fn write(object: &Value, is_binary: fn(&str) -> bool) -> Vec<u8> {
    let mut writer = Writer {
        text: String::new(),
        indent: 0,
        column: 0,
        is_binary,
    };
    let members = object.as_object().expect("a tagged object");
    writer.object(members, 4);
    writer.text.into_bytes()
}

struct Writer {
    text: String,
    indent: usize,
    column: usize,
    is_binary: fn(&str) -> bool,
}

impl Writer {
    fn object(&mut self, members: &Map<String, Value>, name_margin: usize) {
        self.text.push('{');
        self.indent += 1;
        for (place, (name, value)) in members.iter().enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            self.line();
            self.text.push_str(&format!("\"{name}\": "));
            self.column = name_margin + name.len();
            self.value(name, value);
        }
        self.indent -= 1;
        self.text.push('}');
    }

    fn value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(members) => self.object(members, 5),
            Value::Array(elements) => self.array(name, elements),
            Value::String(text) if (self.is_binary)(name) => self.binary(text),
            other => self.text.push_str(&other.to_string()),
        }
    }

    fn array(&mut self, name: &str, elements: &[Value]) {
        self.text.push('[');
        self.indent += 1;
        // An envelope is an array whose second element is its payload, a Binary value.
        let is_envelope = matches!(elements, [Value::Object(_), Value::String(_), ..]);
        for (place, element) in elements.iter().enumerate() {
            if place > 0 {
                self.text.push(',');
                self.line();
            }
            match element {
                Value::String(payload) if is_envelope => self.binary(payload),
                element => self.value(name, element),
            }
        }
        self.indent -= 1;
        self.text.push(']');
    }

    fn binary(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            self.column += 1;
            if self.column > COLUMNS {
                self.text.push_str("\n  ");
                self.column = 2;
            }
            self.text.push(character);
        }
        self.text.push('"');
    }

    fn line(&mut self) {
        self.text.push('\n');
        self.text.push_str(&"  ".repeat(self.indent));
    }
}
