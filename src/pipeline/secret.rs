//! What must not be shown: a text of the file, or of the environment, that may hold a password.

/// Whether a connection string, of either form, holds a password.
pub fn has_password(dsn: &str) -> bool {
    if let Some((_, rest)) = dsn.split_once("://") {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let user_info = authority.rsplit_once('@').map(|(info, _)| info);
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        return user_info.is_some_and(|info| info.contains(':'))
            || query.split('&').any(|pair| pair.starts_with("password="));
    }
    dsn.split_whitespace().any(|word| word.starts_with("password=") || word == "password")
}

/// Whether a line or a text may hold one, however it is written.
pub fn may_hold_password(text: &str) -> bool {
    text.contains("password") || text.contains("://") && text.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_in_both_forms() {
        for dsn in ["postgresql://u:p@h/d", "postgres://h/d?password=x", "host=h password=x", "password = x"]
        {
            assert!(has_password(dsn) && may_hold_password(dsn), "{dsn}");
        }
        for dsn in ["postgresql://u@h:5432/d", "host=h user=password_keeper", "", "postgresql:///d?host=/a:b"]
        {
            assert!(!has_password(dsn), "{dsn}");
        }
        assert!(may_hold_password("  dsn: 'postgresql://u:a/b@h"));
        assert!(!may_hold_password("  dsn: postgresql://h:5432/d"));
    }
}
