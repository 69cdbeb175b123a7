//! Header rows: names of columns where a record should stand.

/// What to do with a file whose header row has commas.
pub(crate) const NO_COMMAS: &str = "its columns are separated by commas: write them with tabs, in Python: \
                                    import pandas; pandas.read_csv(FILE).to_csv(OUT, sep=\"\\t\", index=False)";

/// Names of a column of ids, as [`letters`] has them.
const IDS: &[&str] = &[
    "id",
    "docid",
    "docno",
    "documentid",
    "did",
    "pid",
    "psgid",
    "passageid",
    "corpusid",
    "articleid",
    "qid",
    "queryid",
    "questionid",
    "topicid",
    "topic",
];

/// Names of the other columns of texts, queries, judgements and runs.
const OTHERS: &[&str] = &[
    "text",
    "texts",
    "title",
    "contents",
    "content",
    "body",
    "passage",
    "passages",
    "passagetext",
    "document",
    "doc",
    "documenttext",
    "doctext",
    "abstract",
    "url",
    "query",
    "queries",
    "querytext",
    "question",
    "questions",
    "questiontext",
    "vector",
    "tokens",
    "metadata",
    "q0",
    "iter",
    "iteration",
    "rank",
    "score",
    "relevance",
    "rel",
    "label",
    "grade",
    "tag",
    "run",
    "runid",
];

/// Bytes of the longest of them, with quotes and what stands between its words.
const LONGEST: usize = 18;

/// The letters of a column's name, in lower case: `Query ID`, `#query_id` and `"queryid"` are one.
fn letters(column: &str) -> impl Iterator<Item = u8> {
    let between = |b: &u8| !matches!(b, b' ' | b'_' | b'-' | b'.' | b'"' | b'\'' | b'#');
    column.bytes().filter(between).map(|b| b.to_ascii_lowercase())
}

/// Whether `columns` name columns, as in `id<TAB>text` or BEIR's `query-id<TAB>corpus-id<TAB>
/// score`: the first an id, the others anything that stands beside one.
pub(crate) fn is_header<'a>(columns: impl IntoIterator<Item = &'a str>) -> bool {
    let names = |list: &[&str], column: &str| {
        column.len() <= LONGEST && list.iter().any(|name| letters(column).eq(name.bytes()))
    };
    let mut columns = columns.into_iter().map(str::trim);
    let Some(first) = columns.next() else { return false };
    // Most ids have digits.
    if first.bytes().any(|b| b.is_ascii_digit()) || !names(IDS, first) {
        return false;
    }
    let mut others = columns.peekable();
    others.peek().is_some() && others.all(|column| names(IDS, column) || names(OTHERS, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_told_from_records() {
        let header = |line: &str| is_header(line.split('\t'));
        for line in [
            "id\ttext",
            "ID\tText",
            "docid\turl\ttitle\tbody",
            "qid\tquery",
            "query-id\tcorpus-id\tscore",
            "document_id\ttext ",
            "passage_id\tpassage",
            "psg_id\ttext\ttitle",
            "query_id\tquery_text",
            "Query ID\tQuery",
            "#id\ttext",
            "\"id\"\t\"text\"",
            "_id\t'Doc-Text'",
        ] {
            assert!(header(line), "{line:?}");
        }
        for line in ["id", "", "id\tan identity card", "d1\ttext", "text\tid", "id\t", "#\ttext"] {
            assert!(!header(line), "{line:?}");
        }
        // Two quotes and a space.
        let longest = IDS.iter().chain(OTHERS).map(|name| name.len() + 3).max();
        assert!(longest <= Some(LONGEST));
        assert!(IDS.iter().chain(OTHERS).all(|name| letters(name).eq(name.bytes())));
    }
}
