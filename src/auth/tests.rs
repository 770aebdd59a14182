//! Every way a token can be wrong, and the one way it is right. Knows tokens only.

use super::*;
use serde_json::{Value, json};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Millis = Millis(1_800_000_000_000);

fn sign(algorithm: Algorithm, claims: &Value, secret: &[u8]) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn verify(claims: &Value) -> Result<Claims, AuthError> {
    Verifier::new(&Key::of(SECRET), None, None).verify(&sign(Algorithm::HS256, claims, SECRET), NOW)
}

fn seconds(offset: i64) -> i64 {
    (NOW.0 / 1000) as i64 + offset
}

fn grant() -> Grant {
    Grant {
        user: UserName::new("alice").unwrap(),
        ttl: Duration::from_secs(60),
        groups: vec![GroupName::new("room").unwrap()],
        broadcast: true,
        audience: Some("chat".into()),
        issuer: Some("us".into()),
    }
}

#[test]
fn an_issued_token_grants_what_it_was_issued_for() {
    let key = Key::of(SECRET);
    let token = issue(&key, &grant(), NOW).unwrap();
    for verifier in [Verifier::new(&key, None, None), Verifier::new(&key, Some("chat"), Some("us"))] {
        let claims = verifier.verify(&token, NOW).unwrap();
        assert_eq!(claims.user.as_str(), "alice");
        assert_eq!(claims.expires, Some(Millis(NOW.0 + 60_000 + LEEWAY_MS)));
        assert_eq!(claims.groups, [GroupName::new("room").unwrap()]);
        assert!(claims.broadcast);
        assert_eq!(verifier.verify(&token, Millis(NOW.0 + 60_000 + LEEWAY_MS)), Err(AuthError::Expired));
    }
}

#[test]
fn little_is_granted_unasked() {
    let claims = verify(&json!({"sub": "bob", "exp": seconds(9), "other": {"x": 1}})).unwrap();
    assert!(claims.groups.is_empty() && !claims.broadcast);
}

#[test]
fn audience_and_issuer_must_fit_when_the_server_names_them() {
    let key = Key::of(SECRET);
    let full = issue(&key, &grant(), NOW).unwrap();
    let bare = issue(&key, &Grant { audience: None, issuer: None, ..grant() }, NOW).unwrap();
    let list = json!({"sub": "a", "exp": seconds(9), "aud": ["x", "chat"], "iss": "us"});
    let both = Verifier::new(&key, Some("chat"), Some("us"));
    assert!(both.verify(&sign(Algorithm::HS256, &list, SECRET), NOW).is_ok());
    assert!(matches!(both.verify(&bare, NOW), Err(AuthError::Audience | AuthError::Issuer)));
    assert_eq!(Verifier::new(&key, Some("x"), None).verify(&full, NOW), Err(AuthError::Audience));
    assert_eq!(Verifier::new(&key, Some("x"), None).verify(&bare, NOW), Err(AuthError::Audience));
    assert_eq!(Verifier::new(&key, None, Some("x")).verify(&full, NOW), Err(AuthError::Issuer));
    assert_eq!(Verifier::new(&key, None, Some("x")).verify(&bare, NOW), Err(AuthError::Issuer));
}

#[test]
fn time_is_checked_with_a_small_leeway_on_both_ends() {
    let body = |exp: i64, nbf: i64| json!({"sub": "a", "exp": seconds(exp), "nbf": seconds(nbf)});
    assert!(verify(&body(60, 0)).is_ok());
    assert!(verify(&body(-4, 4)).is_ok());
    assert_eq!(verify(&body(-5, 0)), Err(AuthError::Expired));
    assert_eq!(verify(&body(60, 6)), Err(AuthError::NotYet));
    assert!(verify(&json!({"sub": "a", "exp": seconds(1) as f64 + 0.5})).is_ok());
    assert_eq!(verify(&json!({"sub": "a", "exp": -1})), Err(AuthError::Missing));
    assert_eq!(verify(&json!({"sub": "a", "exp": 0})), Err(AuthError::Expired));
    assert!(verify(&json!({"sub": "a", "exp": 1e300})).is_err());
}

#[test]
fn the_algorithm_is_pinned() {
    let claims = json!({"sub": "a", "exp": seconds(60)});
    let verifier = Verifier::new(&Key::of(SECRET), None, None);
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(verifier.verify(&sign(algorithm, &claims, SECRET), NOW), Err(AuthError::Algorithm));
    }
    // {"alg":"none","typ":"JWT"}, with and without what used to be the signature.
    let signed = sign(Algorithm::HS256, &claims, SECRET);
    let (_, rest) = signed.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    for none in ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJOb25lIn0"] {
        assert!(verifier.verify(&format!("{none}.{body}."), NOW).is_err());
        assert!(verifier.verify(&format!("{none}.{body}.{signature}"), NOW).is_err());
    }
}

#[test]
fn a_changed_or_foreign_token_is_refused() {
    let claims = json!({"sub": "a", "exp": seconds(60)});
    let verifier = Verifier::new(&Key::of(SECRET), None, None);
    let foreign = sign(Algorithm::HS256, &claims, b"another key of thirty-two bytes!");
    assert_eq!(verifier.verify(&foreign, NOW), Err(AuthError::Signature));
    let good = sign(Algorithm::HS256, &claims, SECRET);
    let other = sign(Algorithm::HS256, &json!({"sub": "b", "exp": seconds(60)}), SECRET);
    let parts = |token: &str| token.split('.').map(String::from).collect::<Vec<_>>();
    let mixed = format!("{}.{}.{}", parts(&good)[0], parts(&other)[1], parts(&good)[2]);
    assert_eq!(verifier.verify(&mixed, NOW), Err(AuthError::Signature));
    for broken in ["", ".", "..", "a.b.c", "é.é.é", &good[1..], &"x".repeat(TOKEN_MAX + 1)] {
        assert!(verifier.verify(broken, NOW).is_err(), "{broken:.40}");
    }
}

#[test]
fn names_and_types_are_checked() {
    let exp = seconds(60);
    for (claims, why) in [
        (json!({"sub": "a b", "exp": exp}), AuthError::Name),
        (json!({"sub": "", "exp": exp}), AuthError::Name),
        (json!({"sub": "x".repeat(65), "exp": exp}), AuthError::Name),
        (json!({"sub": "a", "exp": exp, "groups": ["a:b"]}), AuthError::Name),
        (json!({"sub": "a", "exp": exp, "groups": "room"}), AuthError::Malformed),
        (json!({"sub": "a", "exp": exp, "broadcast": "yes"}), AuthError::Malformed),
        (json!({"exp": exp}), AuthError::Malformed),
        (json!({"sub": "a"}), AuthError::Malformed),
        (json!({"sub": 7, "exp": exp}), AuthError::Malformed),
        (json!(["sub"]), AuthError::Malformed),
    ] {
        let got = verify(&claims).unwrap_err();
        assert!(got == why || (why == AuthError::Malformed && got == AuthError::Missing), "{claims}: {got}");
    }
}

#[test]
fn every_reason_fits_a_close_frame() {
    use AuthError::*;
    for error in [Malformed, Algorithm, Signature, Expired, NotYet, Audience, Issuer, Missing, Name] {
        assert!(error.to_string().len() <= 123, "{error}");
    }
}

#[test]
fn a_key_is_long_enough_and_loses_one_newline() {
    let path = std::env::temp_dir().join(format!("longwire-key-{}", std::process::id()));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Key::from_file(&path)
    };
    assert_eq!(read(SECRET).unwrap().bytes(), SECRET);
    assert_eq!(read(&[SECRET, b"\n"].concat()).unwrap().bytes(), SECRET);
    assert_eq!(read(&[SECRET, b"\r\n"].concat()).unwrap().bytes(), SECRET);
    assert_eq!(read(&[SECRET, b"\n\n"].concat()).unwrap().bytes(), [SECRET, b"\n"].concat());
    let error = read(&[&SECRET[1..], b"\n"].concat()).unwrap_err().to_string();
    assert!(error.contains("has 31 bytes") && error.contains("at least 32"), "{error}");
    assert!(matches!(read(&vec![7; key::KEY_MAX + 2]), Err(KeyError::Long(_))));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Key::from_file(&path), Err(KeyError::Unreadable(..))));
}
