//! Bakes a digest of the sources into the module, so that a stale build can be told from a fresh one.
//!
//! `focus/native/__init__.py` computes the same over the files on disk. CRC-32 (ISO 3309), since
//! both languages have it at hand: this finds forgetfulness, not malice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut files = vec!["Cargo.lock".to_owned(), "Cargo.toml".to_owned(), "build.rs".to_owned()];
    sources(&root, "src", &mut files)?;
    files.sort_unstable();
    let mut digest = !0;
    for name in &files {
        let bytes = fs::read(root.join(name))?;
        digest = crc(digest, format!("{name}\n{}\n", bytes.len()).as_bytes());
        digest = crc(digest, &bytes);
    }
    println!("cargo:rustc-env=WEIR_SOURCES={:08x}", !digest);
    for watched in ["src", "Cargo.lock", "Cargo.toml", "build.rs"] {
        println!("cargo:rerun-if-changed={watched}");
    }
    Ok(())
}

/// The names of all Rust files below a folder, from the root on, with slashes.
fn sources(root: &Path, folder: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            sources(root, &name, found)?;
        } else if name.ends_with(".rs") {
            found.push(name);
        }
    }
    Ok(())
}

fn crc(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |state, byte| {
        (0..8).fold(state ^ u32::from(*byte), |rest, _| (rest >> 1) ^ (0xedb8_8320 & (rest & 1).wrapping_neg()))
    })
}
