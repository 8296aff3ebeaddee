//! Mistyped words: which known word was meant. Not a place for what words there are.

/// The one of `known` that a mistyped word most likely means; in which case it is written does not count.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // `GZIP` is as near as `gzip`.
    let lower = word.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    let distances = known.into_iter().map(|candidate| (distance(candidate), candidate));
    let allowed = 1 + word.chars().count() / 4;
    // `output` is meant for `out`.
    let begins = |candidate: &str| candidate.len() > 2 && lower.starts_with(candidate);
    let near = distances.filter(|(distance, candidate)| *distance <= allowed || begins(candidate));
    near.min().map(|(_, candidate)| candidate)
}

/// ` (did you mean `x`?)`, or nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |candidate| format!(" (did you mean `{candidate}`?)"))
}
