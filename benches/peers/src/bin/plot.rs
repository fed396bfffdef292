//! Draws throughput against pool size as an SVG, from criterion's measurements: `cargo run --release --bin plot -- [FILE]`.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Points of one line: workers, and tasks per second.
type Points = Vec<(f64, f64)>;

const PREFIX: &str = "pool_size/";
const COLOURS: [&str; 6] = [
    "#0b6bcb", "#d9480f", "#2b8a3e", "#9c36b5", "#a61e4d", "#5c6b00",
];
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("../../target"), PathBuf::from);
    let file = env::args_os()
        .nth(1)
        .map_or_else(|| root.join("../pool_size.svg"), PathBuf::from);
    let mut lines = BTreeMap::new();
    let criterion = target.join("criterion");
    read(&criterion, &mut lines)?;
    ensure!(
        !lines.is_empty(),
        "nothing of pool_size in {}: run `cargo bench --bench pool_size` first",
        criterion.display()
    );
    for points in lines.values_mut() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    fs::write(&file, draw(&lines)).with_context(|| file.display().to_string())?;
    println!("{}", file.display());
    Ok(())
}

/// Collects the medians of all benchmarks below a folder.
fn read(folder: &Path, lines: &mut BTreeMap<String, Points>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.file_name().is_some_and(|name| name == "new") {
            if let Some((name, point)) = benchmark(&path)? {
                lines.entry(name).or_default().push(point);
            }
        } else {
            read(&path, lines)?;
        }
    }
    Ok(())
}

fn benchmark(folder: &Path) -> Result<Option<(String, (f64, f64))>> {
    if !folder.join("benchmark.json").exists() || !folder.join("estimates.json").exists() {
        return Ok(None);
    }
    let about: Value = serde_json::from_str(&fs::read_to_string(folder.join("benchmark.json"))?)?;
    let Some(name) = about["group_id"]
        .as_str()
        .and_then(|id| id.strip_prefix(PREFIX))
    else {
        return Ok(None);
    };
    let estimates: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("estimates.json"))?)?;
    let point = || {
        let workers = about["value_str"].as_str()?.parse().ok()?;
        let count = about["throughput"]["Elements"].as_f64()?;
        let nanoseconds = estimates["median"]["point_estimate"].as_f64()?;
        Some((workers, count / nanoseconds * 1e9))
    };
    let point =
        point().with_context(|| format!("{} is not as criterion writes it", folder.display()))?;
    Ok(Some((name.to_owned(), point)))
}

fn draw(lines: &BTreeMap<String, Points>) -> String {
    let all = || lines.values().flatten();
    let most_workers = all().map(|point| point.0).fold(2.0, f64::max).log2();
    let lowest = all()
        .map(|point| point.1)
        .fold(f64::MAX, f64::min)
        .log10()
        .floor();
    let highest = all()
        .map(|point| point.1)
        .fold(1.0, f64::max)
        .log10()
        .ceil();
    let x = |workers: f64| LEFT + workers.log2() / most_workers * (WIDTH - LEFT - RIGHT);
    let y = |rate: f64| {
        HEIGHT - BOTTOM - (rate.log10() - lowest) / (highest - lowest) * (HEIGHT - TOP - BOTTOM)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">tasks or files a second, against workers</text>\n"
    );
    let (left, right) = (LEFT, WIDTH - RIGHT);
    let (top, bottom) = (TOP, HEIGHT - BOTTOM);
    let mut power = lowest;
    while power <= highest {
        let at = y(10_f64.powf(power));
        add(
            &mut svg,
            format_args!(
                "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                at + 4.0,
                10_f64.powf(power)
            ),
        );
        power += 1.0;
    }
    let mut workers = 1.0_f64;
    while workers.log2() <= most_workers {
        let at = x(workers);
        add(
            &mut svg,
            format_args!(
                "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#eee\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{workers}</text>",
                bottom + 20.0
            ),
        );
        workers *= 2.0;
    }
    let mut labels: Vec<(f64, &str, &str)> = Vec::new();
    for ((name, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let mut path = String::new();
        for &(workers, rate) in points {
            let (x, y) = (x(workers), y(rate));
            let _ = write!(path, "{x:.1},{y:.1} ");
            add(
                &mut svg,
                format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"),
            );
        }
        add(
            &mut svg,
            format_args!(
                "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            ),
        );
        if let Some(&(_, rate)) = points.last() {
            labels.push((y(rate), name, colour));
        }
    }
    // From the top down, none over another.
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free_from = 0.0_f64;
    for (at, name, colour) in labels {
        let at = at.max(free_from);
        free_from = at + 15.0;
        add(
            &mut svg,
            format_args!(
                "<text x=\"{}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
                right + 8.0,
                at + 4.0
            ),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn add(svg: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "{element}");
}
