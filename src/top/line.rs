//! A line of coloured pieces, as the terminal gets it.

use crate::deceptive::is_deceptive;

/// The colours that tell something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    None,
    Dim,
    Bold,
    Green,
    Cyan,
    Yellow,
    Red,
}

impl Colour {
    /// Returns the escape sequence that begins it.
    fn code(self) -> &'static str {
        match self {
            Colour::None => "",
            Colour::Dim => "\x1b[2m",
            Colour::Bold => "\x1b[1m",
            Colour::Green => "\x1b[32m",
            Colour::Cyan => "\x1b[36m",
            Colour::Yellow => "\x1b[33m",
            Colour::Red => "\x1b[31m",
        }
    }
}

/// A piece of a line.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    colour: Colour,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, colour: Colour) -> Self {
        Cell {
            text: text.into(),
            colour,
        }
    }
}

/// Joins cells to a line of at most so many characters. What others wrote can't move the cursor or change
/// colours.
pub(super) fn line(cells: &[Cell], columns: usize, has_colours: bool) -> String {
    let mut line = String::new();
    let mut room = columns;
    for cell in cells {
        let coloured = has_colours && cell.colour != Colour::None;
        if coloured {
            line.push_str(cell.colour.code());
        }
        for character in cell.text.chars().take(room) {
            line.push(if is_deceptive(character) {
                '?'
            } else {
                character
            });
            room -= 1;
        }
        if coloured {
            line.push_str("\x1b[0m");
        }
    }
    line.truncate(line.trim_end().len());
    line
}
