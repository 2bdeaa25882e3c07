//! Reads a page of Markdown: blocks of shell lines, what they should say, and files that are to be saved.
//!
//! Not here: running them.

/// A block of code of the page.
pub(crate) struct Block {
    /// Where its first line stands, from 1.
    pub(crate) line: usize,
    pub(crate) code: String,
    /// The name under which the page says to save it, from a comment `<!-- file: NAME -->` before it.
    pub(crate) file: Option<String>,
    /// The block of text after it: what it says, with `…` for anything.
    pub(crate) output: Option<String>,
}

/// All blocks in the order of the page. A block without a language does not belong here and fails.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut file, mut may_be_output) = (None, false);
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if let Some(name) = line.strip_prefix("<!-- file: ") {
            file = name.strip_suffix(" -->").map(str::to_owned);
        } else if let Some(language) = line.strip_prefix("```") {
            let code = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```");
            let code = code.collect::<Vec<_>>().join("\n") + "\n";
            match (language, blocks.last_mut()) {
                ("text", Some(block)) if may_be_output => block.output = Some(code),
                ("sh" | "python", _) => {
                    assert!(language == "sh" || file.is_some(), "line {number}: save {language} as a file");
                    blocks.push(Block { line: number + 1, code, file: file.take(), output: None });
                }
                _ => panic!("line {number}: nobody knows what to do with this block"),
            }
            may_be_output = language != "text";
        } else if !line.is_empty() {
            may_be_output = false;
        }
    }
    blocks
}

/// Whether `said` is `expected`, in which each `…` stands for any text; space at the ends of lines does not count.
pub(crate) fn fits(said: &str, expected: &str) -> bool {
    let trimmed = |text: &str| text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let (said, expected) = (trimmed(said), trimmed(expected));
    let parts: Vec<&str> = expected.split('…').collect();
    let [first, middle @ .., last] = parts.as_slice() else {
        return said == expected;
    };
    let Some(mut rest) = said.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn dots_stand_for_anything_and_the_rest_has_to_be_there() {
    for (said, expected, is) in [
        ("online\n", "online\n", true),
        ("offline\n", "online\n", false),
        ("a\nb\n", "a\n", false),
        (" ff d8 ff\n", "ff d8 ff", true),
        ("at the door", "…door", true),
        ("at the door", "…the…", true),
        ("at the door", "at…window", false),
        ("ok\nlots\nof it", "ok\n…", true),
        ("", "…", true),
        ("aba", "ab…ba", false),
    ] {
        assert_eq!(fits(said, expected), is, "{said:?} as {expected:?}");
    }
}

#[test]
fn a_page_is_read_in_order() {
    let page =
        "# A\n\n<!-- file: a.sh -->\n```sh\nx=1\n```\n\nWords.\n\n```sh\necho $x\n```\n\n```text\n1\n```\n";
    let read: Vec<_> = blocks(page).into_iter().map(|b| (b.line, b.file, b.code, b.output)).collect();
    assert_eq!(
        read,
        [
            (5, Some("a.sh".to_owned()), "x=1\n".to_owned(), None),
            (11, None, "echo $x\n".to_owned(), Some("1\n".to_owned())),
        ]
    );
}
