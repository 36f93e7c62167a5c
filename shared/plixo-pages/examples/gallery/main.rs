//! Writes every page in every state to a folder, to be looked at and checked:
//! `cargo run -p plixo-pages --example gallery -- FOLDER [hostile]`.

mod samples;

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "gallery".to_owned());
    let is_hostile = arguments.next().is_some_and(|word| word == "hostile");
    let folder = Path::new(&folder);
    fs::create_dir_all(folder.join("assets"))?;
    for asset in plixo_pages::assets() {
        fs::write(folder.join(asset.path.trim_start_matches('/')), asset.bytes)?;
    }
    let hostile = |text: &str| format!("{text}\u{202e}<script>\"'&lt;{}", "W".repeat(300));
    let pages = samples::samples(&|text| if is_hostile { hostile(text) } else { text.to_owned() });
    let mut list =
        String::from("<!doctype html><meta charset=\"utf-8\"><title>Gallery</title><h1>Gallery</h1><ul>");
    for page in &pages {
        fs::write(folder.join(&page.name).with_extension("html"), &page.html)?;
        list.push_str(&format!("<li><a href=\"/{0}.html\">{0}</a></li>", page.name));
    }
    let headers: Vec<_> =
        plixo_pages::security_headers().iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    fs::write(folder.join("headers.txt"), headers.concat())?;
    fs::write(folder.join("index.html"), list)
}
