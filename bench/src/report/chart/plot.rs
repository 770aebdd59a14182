//! One picture: axes, lines, cells and tips, from `plotters` to an SVG whose colours are variables. Knows no run.
use super::axis::Axis;
use super::ink::{Ink, coloured, stylesheet};
use maud::html;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::cell::RefCell;

/// `plotters` counts whole units: this many of them to a pixel let curves be smooth.
const FINE: u32 = 10;
/// Heights of texts, in px.
const TEXT: u32 = 12;
/// Tips of one picture at most: further apart in longer runs.
const TIPS_MAX: usize = 240;

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line; NaN interrupts it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    /// In px.
    pub(crate) width: f64,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A filled part of the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) ink: Ink,
    pub(crate) x: (f64, f64),
    pub(crate) y: (f64, f64),
}

/// What is told where the pointer is, over the picture's whole height.
#[derive(Debug, Clone)]
pub(crate) struct Tip {
    pub(crate) x: (f64, f64),
    pub(crate) text: String,
}

/// A picture.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    /// Said to who cannot see it, and written above it where it stands alone.
    pub(crate) title: String,
    /// In px.
    pub(crate) size: (u32, u32),
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) x_name: &'static str,
    pub(crate) lines: Vec<Line>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) tips: Vec<Tip>,
}

impl Line {
    pub(crate) fn new(name: &str, ink: Ink, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), ink, width: 1.8, points }
    }

    /// The parts between two gaps.
    fn parts(&self) -> impl Iterator<Item = &[(f64, f64)]> {
        self.points.split(|(_, y)| !y.is_finite()).filter(|part| !part.is_empty())
    }
}

impl Plot {
    /// For a page that has the style already.
    pub(crate) fn inline(&self) -> String {
        let (width, height) = (self.size.0 * FINE, self.size.1 * FINE);
        let title = html! { (self.title) }.into_string();
        let head = format!(
            r#"<svg class="picture" role="img" aria-label="{title}" viewBox="0 0 {width} {height}">"#
        );
        format!("{head}{}</svg>", self.body(None))
    }

    /// A file of its own.
    pub(crate) fn standalone(&self) -> String {
        let ((width, height), style) = (self.size, stylesheet());
        let (fine_width, fine_height) = (width * FINE, height * FINE);
        let title = html! { title { (self.title) } }.into_string();
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="picture" width="{width}" height="{height}" viewBox="0 0 {fine_width} {fine_height}">{title}<style>{style}</style><rect width="100%" height="100%" fill="var(--card)"/>{}</svg>
"#,
            self.body(Some(&self.title))
        )
    }

    fn body(&self, title: Option<&str>) -> String {
        let mut drawing = String::new();
        let tips = RefCell::new(String::new());
        let drawn = {
            let size = (self.size.0 * FINE, self.size.1 * FINE);
            let root = SVGBackend::with_string(&mut drawing, size).into_drawing_area();
            self.draw(&root, title, &tips).and_then(|()| Ok(root.present()?))
        };
        if let Err(error) = drawn {
            return html! { text y="200" font-size="120" { "not drawn: " (error) } }.into_string();
        }
        let from = drawing.find('>').map_or(0, |end| end + 1);
        let to = drawing.rfind("</svg>").unwrap_or(drawing.len());
        let plain =
            drawing[from..to].replace(" opacity=\"1\"", "").replace(" font-family=\"sans-serif\"", "");
        let plain = plain.replace(" stroke=\"none\"", "").replace(">\n", ">").replace("\n<", "<");
        coloured(&plain) + &tips.into_inner()
    }

    fn draw(&self, root: &Area<'_>, title: Option<&str>, tips: &RefCell<String>) -> Drawn {
        let mut top = 6;
        if let Some(title) = title {
            let font = ("sans-serif", f64::from(16 * FINE)).into_font().color(&Ink::Text.key());
            root.draw_text(title, &font, at(14, 12))?;
            top = 36;
        }
        self.legend(root, top)?;
        let x_area = if self.x_name.is_empty() { 24 } else { 40 };
        let mut chart = ChartBuilder::on(root)
            .margin_top((top + 26) * FINE as i32)
            .margin_right(26 * FINE as i32)
            .margin_left(8 * FINE as i32)
            .margin_bottom(4 * FINE as i32)
            .x_label_area_size(x_area * FINE as i32)
            .y_label_area_size(60 * FINE as i32)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let font = ("sans-serif", f64::from(TEXT * FINE)).into_font().color(&Ink::Soft.key());
        chart.draw_series(self.cells.iter().map(|cell| {
            Rectangle::new([(cell.x.0, cell.y.0), (cell.x.1, cell.y.1)], cell.ink.key().filled())
        }))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Ink::Grid.key().stroke_width(FINE))
            .axis_style(Ink::Soft.key().stroke_width(FINE))
            .set_all_tick_mark_size(4 * FINE)
            .x_label_style(font.clone())
            .y_label_style(font.clone())
            .axis_desc_style(font)
            .x_desc(self.x_name)
            .draw()?;
        for line in &self.lines {
            let style = line.ink.key().stroke_width(fine(line.width));
            for part in line.parts() {
                if let [point] = part {
                    chart.draw_series([Circle::new(
                        *point,
                        fine(line.width * 1.2),
                        line.ink.key().filled(),
                    )])?;
                } else {
                    chart.draw_series(LineSeries::new(part.iter().copied(), style))?;
                }
            }
        }
        let (bottom, top) = self.y.ends();
        for tip in self.tips.iter().step_by(self.tips.len().div_ceil(TIPS_MAX).max(1)) {
            let (x, y) = chart.backend_coord(&(tip.x.0, top));
            let (right, low) = chart.backend_coord(&(tip.x.1, bottom));
            let rect = html! {
                rect class="hover" x=(x) y=(y) width=((right - x).max(1)) height=(low - y) { title { (tip.text) } }
            };
            tips.borrow_mut().push_str(&rect.into_string());
        }
        Ok(())
    }

    /// Names of the lines above the picture.
    fn legend(&self, root: &Area<'_>, top: i32) -> Drawn {
        let font = ("sans-serif", f64::from(TEXT * FINE)).into_font().color(&Ink::Text.key());
        let mut x = 68;
        let mut named: Vec<&str> = Vec::new();
        for line in &self.lines {
            if line.name.is_empty() || named.contains(&line.name.as_str()) {
                continue;
            }
            named.push(&line.name);
            let style = line.ink.key().stroke_width(fine(line.width.max(1.8)));
            root.draw(&PathElement::new(vec![at(x, top + 9), at(x + 18, top + 9)], style))?;
            root.draw_text(&line.name, &font, at(x + 24, top + 3))?;
            x += 24 + 18 + i32::try_from(line.name.chars().count() * 7).unwrap_or(i32::MAX / 2);
        }
        Ok(())
    }
}

fn at(x: i32, y: i32) -> (i32, i32) {
    (x * FINE as i32, y * FINE as i32)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some pixels
fn fine(px: f64) -> u32 {
    (px * f64::from(FINE)).round() as u32
}
