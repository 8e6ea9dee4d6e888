//! Files of `NAME=value` lines, read as dotenv does, which the field's sidecar uses.
//!
//! Names may follow `export`. Values may be in single quotes, in double quotes, or bare up to a blank, and go over
//! several lines in quotes. A `#` at the beginning of a line or after a blank begins a comment. `\` takes the
//! meaning of a quote, a dollar sign, a blank or itself, and `\n` is an end of line; in single quotes it is a
//! backslash. `$NAME` and `${NAME}` stand for a variable of the environment, or else of a line before.

use std::collections::HashMap;

/// The values of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EnvFile {
    /// Names and values in their order. Of a name that occurs twice the first counts.
    pub(super) values: Vec<(String, String)>,
    /// The number of the line that can't be read. As with dotenv, it ends what counts.
    pub(super) bad_line: Option<usize>,
}

impl EnvFile {
    /// Parses a file. `environment` gives the variables that values refer to.
    pub(super) fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> EnvFile {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut parser = Parser {
            rest: text,
            known: HashMap::new(),
            environment,
        };
        let mut file = EnvFile::default();
        while !parser.rest.is_empty() {
            let before = parser.rest;
            match parser.line() {
                Some(None) => {}
                Some(Some((name, value))) => {
                    parser.known.insert(name.clone(), value.clone());
                    file.values.push((name, value));
                }
                None => {
                    let read = text.len() - before.len();
                    let lines = text.bytes().take(read).filter(|byte| *byte == b'\n');
                    file.bad_line = Some(lines.count() + 1);
                    break;
                }
            }
        }
        file
    }

    /// Returns the value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

struct Parser<'a, E> {
    rest: &'a str,
    known: HashMap<String, String>,
    environment: E,
}

/// The quotes around the part of a value that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

impl<E: Fn(&str) -> Option<String>> Parser<'_, E> {
    /// Reads a line, or several if quotes go over them. `None`: it can't be read; `Some(None)`: it says nothing.
    fn line(&mut self) -> Option<Option<(String, String)>> {
        self.skip_blanks();
        if self.at_end_of_line() || self.rest.starts_with('#') {
            self.skip_line();
            return Some(None);
        }
        let mut name = self.name()?;
        self.skip_blanks();
        if name == "export" && !self.rest.starts_with('=') {
            name = self.name()?;
            self.skip_blanks();
        }
        self.rest = self.rest.strip_prefix('=')?;
        self.skip_blanks();
        let value = if self.rest.starts_with('#') {
            String::new()
        } else {
            self.value()?
        };
        self.skip_line();
        Some(Some((name, value)))
    }

    fn name(&mut self) -> Option<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        self.rest = rest;
        begins_well.then(|| name.to_owned())
    }

    fn value(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut quote = Quote::None;
        loop {
            let Some(c) = self.rest.chars().next() else {
                return (quote == Quote::None).then_some(value);
            };
            if quote == Quote::None && self.at_end_of_line() {
                return Some(value);
            }
            self.skip(c);
            match (quote, c) {
                (Quote::Single, '\'') | (Quote::Double, '"') => quote = Quote::None,
                (Quote::Single, _) => value.push(c),
                (Quote::None | Quote::Double, '\\') => value.push(self.escaped()?),
                (Quote::None | Quote::Double, '$') => {
                    let referred = self.reference()?;
                    value.push_str(&referred);
                }
                (Quote::None, '\'') => quote = Quote::Single,
                (Quote::None, '"') => quote = Quote::Double,
                (Quote::None, ' ' | '\t') => {
                    self.skip_blanks();
                    let is_over = self.at_end_of_line() || self.rest.starts_with('#');
                    return is_over.then_some(value);
                }
                (Quote::None | Quote::Double, _) => value.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.skip(c);
        match c {
            '\\' | '\'' | '"' | '$' | ' ' => Some(c),
            'n' => Some('\n'),
            _ => None,
        }
    }

    /// Reads what follows a dollar sign, and returns what it stands for; nothing for an unknown name.
    fn reference(&mut self) -> Option<String> {
        let name = if let Some(inner) = self.rest.strip_prefix('{') {
            let (name, rest) = inner.split_once('}')?;
            self.rest = rest;
            name
        } else {
            let end = self.rest.find(|c: char| !c.is_alphanumeric());
            let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest;
            name
        };
        let found = (self.environment)(name).or_else(|| self.known.get(name).cloned());
        Some(found.unwrap_or_default())
    }

    fn at_end_of_line(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with('\n') || self.rest.starts_with("\r\n")
    }

    fn skip(&mut self, c: char) {
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Skips what is left of the line, and its end.
    fn skip_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases that the Python client reads in the same way.
    const CASES: &str = include_str!("../../clients/python/tests/env_files.json");

    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        values: Vec<(String, String)>,
        bad_line: Option<usize>,
    }

    #[test]
    fn files_are_read_as_dotenv_reads_them() {
        let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
        assert!(cases.len() > 20);
        for Case {
            text,
            values,
            bad_line,
        } in cases
        {
            let environment = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
            let file = EnvFile::parse(&text, environment);
            assert_eq!(file, EnvFile { values, bad_line }, "{text:?}");
        }
    }

    #[test]
    fn of_two_values_of_a_name_the_first_counts() {
        let file = EnvFile::parse("A=1\nA=2\n", |_| None);
        assert_eq!(file.get("A"), Some("1"));
        assert_eq!(file.get("B"), None);
    }
}
