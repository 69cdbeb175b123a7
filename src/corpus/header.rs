//! Header rows: names of columns where a record should stand.

/// Names of a column of ids.
const IDS: &[&str] = &[
    "id",
    "_id",
    "docid",
    "doc_id",
    "doc-id",
    "docno",
    "doc_no",
    "document_id",
    "documentid",
    "did",
    "pid",
    "passage_id",
    "passageid",
    "corpus-id",
    "corpus_id",
    "corpusid",
    "qid",
    "query_id",
    "query-id",
    "queryid",
    "topic_id",
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
    "document",
    "doc",
    "abstract",
    "url",
    "query",
    "queries",
    "question",
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
    "run_id",
    "runid",
];

/// The longest of them.
const LONGEST: usize = 11;

/// Whether `columns` name columns, as in `id<TAB>text` or BEIR's `query-id<TAB>corpus-id<TAB>
/// score`: the first an id, the others anything that stands beside one.
pub(crate) fn is_header<'a>(columns: impl IntoIterator<Item = &'a str>) -> bool {
    let names = |list: &[&str], column: &str| {
        column.len() <= LONGEST && list.iter().any(|name| name.eq_ignore_ascii_case(column))
    };
    let mut columns = columns.into_iter().map(str::trim);
    let Some(first) = columns.next() else { return false };
    if !names(IDS, first) {
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
        ] {
            assert!(header(line), "{line:?}");
        }
        for line in ["id", "", "id\tan identity card", "d1\ttext", "text\tid", "id\t"] {
            assert!(!header(line), "{line:?}");
        }
        assert_eq!(IDS.iter().chain(OTHERS).map(|name| name.len()).max(), Some(LONGEST));
    }
}
