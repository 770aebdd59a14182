//! Pages that need nothing but themselves: no network, no script, everything from outside escaped. Knows no run.
mod comparison;
mod run;

use super::chart::{Plot, stylesheet};
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(super) use comparison::page as comparison;
pub(super) use run::page as run;

/// Nothing may be loaded or run, whatever text a server sends: styles are the page's own.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A whole page.
fn shell(title: &str, body: &Markup) -> String {
    let style = stylesheet() + include_str!("style.css");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(concat!("longwire-bench ", env!("CARGO_PKG_VERSION")));
                title { (title) }
                style { (PreEscaped(style)) }
            }
            body { main {
                (body)
                footer { "Written by longwire-bench " (env!("CARGO_PKG_VERSION")) ". Point at a picture for its numbers." }
            } }
        }
    }
    .into_string()
}

/// A picture in its card, if there is one.
fn picture(plot: Option<&Plot>, hint: &str) -> Markup {
    html! {
        @if let Some(plot) = plot {
            figure class="card" {
                h3 { (plot.title) }
                (PreEscaped(plot.inline()))
                @if !hint.is_empty() { figcaption { (hint) } }
            }
        }
    }
}

/// Pictures side by side.
fn pictures(plots: &[(Option<Plot>, &str)]) -> Markup {
    html! {
        @if plots.iter().any(|(plot, _)| plot.is_some()) {
            div class="cards two" { @for (plot, hint) in plots { (picture(plot.as_ref(), hint)) } }
        }
    }
}

/// A table: its heading, and each row with what names it first.
fn table(heading: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        div class="scroll" { table {
            thead { tr { @for name in heading { th { (name) } } } }
            tbody { @for row in rows { tr { @for (at, cell) in row.iter().enumerate() {
                @if at == 0 { th { (cell) } } @else { td { (cell) } }
            } } } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::{Comparison, Side};
    use super::super::sample;
    use super::*;

    /// Writes the pages where `REPORT_PAGES` says, to be looked at.
    fn keep(name: &str, page: &str) {
        if let Some(folder) = std::env::var_os("REPORT_PAGES") {
            std::fs::write(std::path::Path::new(&folder).join(name), page).unwrap();
        }
    }

    #[test]
    fn a_page_has_its_pictures_and_no_more() {
        let names = ["run", "faulty", "hour", "idle", "nothing"];
        for ((name, report), pictures) in names.iter().zip(sample::all()).zip([9, 9, 9, 5, 0]) {
            let page = run(&report);
            keep(&format!("{name}.html"), &page);
            assert_eq!(page.matches("<svg").count(), pictures, "{name}");
            assert!(!page.contains("not drawn") && !page.contains("#01FE"), "{name}");
            assert!(!page.contains("http://") && !page.contains("https://"), "{name} needs no network");
            assert!(page.len() < 1_500_000, "{name} has {} bytes", page.len());
        }
    }

    #[test]
    fn what_a_server_said_is_text() {
        let page = run(&sample::faulty());
        assert!(!page.contains("<script") && !page.contains("<img"));
        assert!(page.contains("&lt;script&gt;alert('x')&lt;/script&gt;"));
        let mut evil = sample::run();
        evil.workload = "\"><script>".into();
        let name = "<script>\"'&".to_owned();
        let sides =
            vec![Side::of(name, vec![evil]).unwrap(), Side::of("b".into(), vec![sample::run()]).unwrap()];
        let page = comparison(&Comparison::of(sides));
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    }

    #[test]
    fn sides_lie_over_each_other() {
        let slower = || {
            let mut run = sample::run();
            run.course.latency.iter_mut().for_each(|point| point.us *= 1.7);
            run
        };
        let sides =
            [("longwire", vec![sample::run(), sample::run()]), ("tokio", vec![slower(), slower(), slower()])];
        let sides = sides.map(|(name, runs)| Side::of(name.to_owned(), runs).unwrap());
        let page = comparison(&Comparison::of(sides.into()));
        keep("compare.html", &page);
        assert_eq!(page.matches("<svg").count(), 5);
    }
}
