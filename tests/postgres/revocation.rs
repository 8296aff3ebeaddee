//! Certificates that their authority took back.

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, date_time_ymd};

use crate::connect::{Authority, SERIAL, connect, failing, server, write};

impl Authority {
    /// The list of the certificates with these numbers that it took back, good until a year.
    fn revoke(&self, numbers: &[u64], until: i32) -> String {
        let revoked = |&number: &u64| RevokedCertParams {
            serial_number: number.into(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 2),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: numbers.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

#[test]
fn a_certificate_that_was_taken_back_is_refused() {
    let authority = Authority::new("the authority");
    let server = server(&authority.sign("db.example", &["db.example"]), &authority);
    let home = tempfile::tempdir().unwrap();
    let try_with = |list: &str, dsn: &str| {
        write(home.path(), ".postgresql/root.crl", list);
        connect(&server, &home, &format!("user=trusted {dsn}"))
    };
    let refused = |why: &str| {
        let cause = format!("the TLS handshake failed: invalid peer certificate: {why}");
        failing("trusted", &cause)
    };
    let (good, revoked) = (authority.revoke(&[SERIAL + 1], 4000), authority.revoke(&[1, SERIAL], 4000));
    // Without a root certificate nothing is verified.
    assert_eq!(try_with(&revoked, "host=db.example sslmode=require"), Ok(true));
    write(home.path(), ".postgresql/root.crt", &authority.pem());
    for mode in ["require", "verify-ca", "verify-full"] {
        let dsn = format!("host=db.example sslmode={mode}");
        assert_eq!(try_with(&good, &dsn), Ok(true), "{mode}");
        assert_eq!(try_with(&revoked, &dsn), refused("Revoked"), "{mode}");
    }
    // The name counts where it did without a list.
    assert_eq!(try_with(&good, "host=other.example sslmode=verify-ca"), Ok(true));
    let error = try_with(&good, "host=other.example sslmode=verify-full").unwrap_err();
    assert!(error.contains("certificate not valid for name"), "{error}");
    let error = try_with(&revoked, "host=other.example sslmode=verify-ca").unwrap_err();
    assert!(error.ends_with("invalid peer certificate: Revoked"), "{error}");
    // A list of another authority, or of last year, says nothing.
    let full = "host=db.example sslmode=verify-full";
    let other = Authority::new("another one").revoke(&[], 4000);
    assert_eq!(try_with(&other, full), refused("UnknownRevocationStatus"));
    let old = try_with(&authority.revoke(&[], 2021), full).unwrap_err();
    assert!(old.contains("certificate revocation list expired"), "{old}");
    // One that is named goes before the usual one, and must be there.
    let named = write(home.path(), "named.crl", &good);
    assert_eq!(try_with(&revoked, &format!("{full} sslcrl={}", named.display())), Ok(true));
    let list = "cannot read the list of revoked certificates `~/";
    for (text, sslcrl, problem) in [
        (&*revoked, " sslcrl=HOME/none.crl", "none.crl`: "),
        ("nothing", "", ".postgresql/root.crl`: it holds no list"),
        ("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "", ".postgresql/root.crl`: "),
    ] {
        let sslcrl = sslcrl.replace("HOME", &home.path().display().to_string());
        let error = try_with(text, &format!("{full}{sslcrl}")).unwrap_err();
        assert!(error.contains(&format!("{list}{problem}")), "{error}");
    }
}
