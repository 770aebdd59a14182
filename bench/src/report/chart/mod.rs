//! Pictures of a run as SVG that follows the page's colours, drawn by `plotters`. Knows the numbers, and no page.
mod axis;
mod ink;
pub(crate) mod latency;
pub(crate) mod memory;
mod plot;
pub(crate) mod time;

pub(crate) use ink::{SIDES, stylesheet};
pub(crate) use plot::{Line, Plot};
pub(crate) use time::over_runs;

/// Width and height of a picture that takes a page's whole width, and of one that takes half of it, in px.
pub(crate) const WIDE: (u32, u32) = (1080, 400);
pub(crate) const HALF: (u32, u32) = (530, 270);
