//! Finds the examples in a Markdown file that are marked as tested, so that a test can run exactly what a reader would copy.
//!
//! A fenced code block is marked by an HTML comment before it, `<!-- tested: NAME -->`, with nothing but blank lines between.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

/// A marked code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The name in the comment.
    pub name: String,
    /// What stands behind the fence: "bash", "json" or nothing.
    pub language: String,
    /// The lines between the fences, each with its line feed.
    pub code: String,
    /// The line of the opening fence, from 1.
    pub line: usize,
}

impl Example {
    /// Runs the code with bash, which stops at the first command that fails.
    ///
    /// # Panics
    ///
    /// When bash cannot be started, or has not ended after `deadline`.
    pub async fn run(&self, folder: &Path, env: &[(&str, &str)], deadline: Duration) -> Output {
        let mut command = tokio::process::Command::new("bash");
        crate::server::forget_own_settings(|name| {
            command.env_remove(name);
        });
        let output = command
            .args(["-euo", "pipefail", "-c", &self.code])
            .current_dir(folder)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        tokio::time::timeout(deadline, output)
            .await
            .unwrap_or_else(|_| panic!("example {} has not ended after {deadline:?}", self.name))
            .expect("bash can be started")
    }
}

/// The marked code blocks of the file at `path`, relative to the repository.
///
/// # Panics
///
/// When the file cannot be read, or as [`examples`] does.
#[must_use]
pub fn examples_in(path: &str) -> Vec<Example> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    examples(&text)
}

/// The marked code blocks of a Markdown text, in order.
///
/// # Panics
///
/// When a mark has no code block, a code block has no end, or a name is used twice: an example that silently goes untested is worse than none.
#[must_use]
pub fn examples(markdown: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut mark: Option<(&str, usize)> = None;
    let mut lines = markdown.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if let Some(fence) = Fence::opened_by(line) {
            let mut code = String::new();
            let mut closed = false;
            for (line, _) in lines.by_ref() {
                closed = fence.is_closed_by(line);
                if closed {
                    break;
                }
                code.push_str(fence.without_indent(line));
                code.push('\n');
            }
            assert!(closed, "the code block in line {number} has no end");
            if let Some((name, _)) = mark.take() {
                assert!(
                    found.iter().all(|example| example.name != name),
                    "line {number}: there already is an example named {name}"
                );
                found.push(Example { name: name.to_owned(), language: fence.language.to_owned(), code, line: number });
            }
        } else if let Some(name) = marked_name(line) {
            assert_no_code_missing(mark);
            mark = Some((name, number));
        } else if !line.trim().is_empty() {
            assert_no_code_missing(mark);
        }
    }
    assert_no_code_missing(mark);
    found
}

fn assert_no_code_missing(mark: Option<(&str, usize)>) {
    if let Some((name, line)) = mark {
        panic!("line {line}: no code block follows the mark of {name}");
    }
}

fn marked_name(line: &str) -> Option<&str> {
    let comment = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    Some(comment.trim().strip_prefix("tested:")?.trim())
}

struct Fence<'a> {
    indent: usize,
    marker: &'a str,
    language: &'a str,
}

impl<'a> Fence<'a> {
    fn opened_by(line: &'a str) -> Option<Self> {
        let text = line.trim_start();
        let first = text.chars().next().filter(|char| ['`', '~'].contains(char))?;
        let language = text.trim_start_matches(first);
        let marker = &text[..text.len() - language.len()];
        let is_fence = marker.len() >= 3 && !(first == '`' && language.contains('`'));
        is_fence.then(|| Self {
            indent: line.len() - text.len(),
            marker,
            language: language.split_whitespace().next().unwrap_or_default(),
        })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim();
        line.starts_with(self.marker) && line.trim_start_matches(&self.marker[..1]).is_empty()
    }

    /// A fence inside a list is indented, and its code with it.
    fn without_indent<'l>(&self, line: &'l str) -> &'l str {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        &line[blanks.min(self.indent)..]
    }
}
