//! Colours by what they stand for; the page's style says which they are, by day and by night. Knows no picture.
//!
//! `plotters` knows fixed colours only. Each ink goes through it as a colour that nobody would choose, and is turned into a
//! variable of the style afterwards.
use plotters::style::RGBColor;
use std::fmt::Write;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Soft,
    Grid,
    /// Lines, told apart also by colour-blind eyes.
    Blue,
    Orange,
    Green,
    Red,
    Violet,
    Teal,
    /// Lines on top of a heat map.
    Strong,
    /// Shades of a heat map, from 1.
    Heat(u8),
}

/// How many shades a heat map has.
pub(crate) const SHADES: u8 = 8;

/// The sides of a comparison, in their order.
pub(crate) const SIDES: [Ink; 6] = [Ink::Blue, Ink::Orange, Ink::Green, Ink::Violet, Ink::Teal, Ink::Red];

/// Name of the variable, by day, by night.
const COLOURS: [(Ink, &str, &str); 10] = [
    (Ink::Text, "#1f2328", "#e6e8eb"),
    (Ink::Soft, "#656d76", "#9aa3ad"),
    (Ink::Grid, "#e4e6e8", "#30353c"),
    (Ink::Blue, "#1f6fd0", "#6cb0ff"),
    (Ink::Orange, "#d9730d", "#f5a550"),
    (Ink::Green, "#1a8a5a", "#55c995"),
    (Ink::Red, "#cf222e", "#ff7b72"),
    (Ink::Violet, "#7d4bc6", "#bd95ff"),
    (Ink::Teal, "#0f8b99", "#4fd0dd"),
    (Ink::Strong, "#10233f", "#ffffff"),
];

/// Shades by day and by night: few latencies are near the page's colour, many far from it.
const HEAT: [(&str, &str); SHADES as usize] = [
    ("#eaf2fc", "#16263b"),
    ("#d6e7f9", "#173355"),
    ("#bedaf5", "#174270"),
    ("#a3c9f0", "#18528c"),
    ("#86b7eb", "#1c64aa"),
    ("#69a3e4", "#2a7ac9"),
    ("#4c8fda", "#4795e2"),
    ("#357ccc", "#78b5f2"),
];

impl Ink {
    fn name(self) -> String {
        match self {
            Self::Heat(shade) => format!("heat{shade}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    /// As a style's value.
    pub(crate) fn variable(self) -> String {
        format!("var(--{})", self.name())
    }

    /// What stands for it while it is with `plotters`.
    pub(crate) fn key(self) -> RGBColor {
        let number = match self {
            Self::Heat(shade) => 0x80 + shade,
            other => COLOURS.iter().position(|(ink, ..)| *ink == other).map_or(0, |at| at as u8),
        };
        RGBColor(1, 0xfe, number)
    }
}

/// Turns the keys in a drawing into variables.
pub(crate) fn coloured(drawing: &str) -> String {
    let inks = COLOURS.iter().map(|(ink, ..)| *ink).chain((1..=SHADES).map(Ink::Heat));
    let mut drawing = drawing.to_owned();
    for ink in inks {
        let RGBColor(red, green, blue) = ink.key();
        drawing = drawing
            .replace(&format!("\"#{red:02X}{green:02X}{blue:02X}\""), &format!("\"{}\"", ink.variable()));
    }
    drawing
}

/// The variables, for a page or a picture that stands alone.
pub(crate) fn stylesheet() -> String {
    let mut modes = [String::new(), String::new()];
    let mut set = |name: &str, colours: [&str; 2]| {
        for (mode, colour) in modes.iter_mut().zip(colours) {
            // Writing to a string cannot fail.
            let _ = write!(mode, "--{name}:{colour};");
        }
    };
    set("page", ["#f6f7f8", "#121417"]);
    set("card", ["#ffffff", "#1a1d21"]);
    COLOURS.iter().for_each(|(ink, day, night)| set(&ink.name(), [day, night]));
    (1..=SHADES).zip(HEAT).for_each(|(shade, (day, night))| set(&Ink::Heat(shade).name(), [day, night]));
    let [day, night] = modes;
    format!(
        ":root{{color-scheme:light dark;{day}}}@media(prefers-color-scheme:dark){{:root{{{night}}}}}\
         svg.picture{{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}}\
         .hover{{fill:transparent}}.hover:hover{{fill:var(--text);fill-opacity:.08}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ink_has_its_own_key_and_colour() {
        let all: Vec<Ink> = COLOURS.iter().map(|(ink, ..)| *ink).chain((1..=SHADES).map(Ink::Heat)).collect();
        let keys: std::collections::BTreeSet<_> = all.iter().map(|ink| format!("{:?}", ink.key())).collect();
        assert_eq!(keys.len(), all.len());
        for ink in all {
            assert_eq!(stylesheet().matches(&format!("--{}:", ink.name())).count(), 2, "{ink:?}");
        }
    }
}
