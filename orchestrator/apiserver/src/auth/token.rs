//! ServiceAccount tokens: JSON Web Tokens signed with ES256 (RFC 7515, RFC 7518 section 3.4).
//!
//! Signing and checking are pure; whether the account and the pod still exist is asked elsewhere.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::json::{int_at, list_at, str_at};

/// The issuer of all tokens, which is also an audience they are good for.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Longest token that is looked at; real ones have about 1 KiB.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Tokens whose start lies this many seconds ahead are accepted, for clocks that differ.
const LEEWAY_SECONDS: i64 = 60;

/// The object a token dies with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// `pod`, `secret` or `node`, as the claim names it.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) namespace: String,
    pub(crate) account: String,
    pub(crate) account_uid: String,
    pub(crate) bound: Vec<Bound>,
    pub(crate) audiences: Vec<String>,
    /// Seconds since 1970.
    pub(crate) issued: i64,
    pub(crate) expires: i64,
    pub(crate) id: String,
}

/// Signs and checks tokens.
pub(crate) struct Tokens {
    key: EcdsaKeyPair,
    key_id: String,
    random: SystemRandom,
}

impl Tokens {
    /// Takes a PKCS#8 P-256 key; `None` when it is something else.
    pub(crate) fn new(pkcs8: &[u8]) -> Option<Tokens> {
        let random = SystemRandom::new();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random).ok()?;
        let key_id = URL_SAFE_NO_PAD.encode(Sha256::digest(key.public_key().as_ref()));
        Some(Tokens {
            key,
            key_id,
            random,
        })
    }

    /// Returns the signed token; `None` when the system has no random numbers.
    pub(crate) fn sign(&self, claims: &Claims) -> Option<String> {
        let header = json!({"alg": "ES256", "kid": self.key_id, "typ": "JWT"});
        let mut kubernetes = json!({
            "namespace": claims.namespace,
            "serviceaccount": {"name": claims.account, "uid": claims.account_uid},
        });
        for bound in &claims.bound {
            kubernetes[&bound.kind] = json!({"name": bound.name, "uid": bound.uid});
        }
        let payload = json!({
            "aud": claims.audiences,
            "exp": claims.expires,
            "iat": claims.issued,
            "iss": ISSUER,
            "jti": claims.id,
            "kubernetes.io": kubernetes,
            "nbf": claims.issued,
            "sub": format!("system:serviceaccount:{}:{}", claims.namespace, claims.account),
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&payload));
        let signature = self.key.sign(&self.random, signed.as_bytes()).ok()?;
        Some(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature.as_ref())
        ))
    }

    /// Returns what a token says when this server signed it and it is valid at `now` (seconds
    /// since 1970).
    pub(crate) fn verify(&self, token: &str, now: i64) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
        // The algorithm is ours to choose, never the token's.
        if str_at(&header, &["alg"]) != "ES256" {
            return None;
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref())
            .verify(signed.as_bytes(), &decode(signature)?)
            .ok()?;
        let payload: Value = serde_json::from_slice(&decode(payload)?).ok()?;
        let (expires, issued) = (int_at(&payload, &["exp"])?, int_at(&payload, &["iat"])?);
        let starts = int_at(&payload, &["nbf"])?;
        if str_at(&payload, &["iss"]) != ISSUER || now >= expires || now + LEEWAY_SECONDS < starts {
            return None;
        }
        let kubernetes = payload.get("kubernetes.io")?;
        let bound = ["pod", "secret", "node"].into_iter().filter_map(|kind| {
            let object = kubernetes.get(kind)?;
            Some(Bound {
                kind: kind.to_owned(),
                name: str_at(object, &["name"]).to_owned(),
                uid: str_at(object, &["uid"]).to_owned(),
            })
        });
        Some(Claims {
            namespace: str_at(kubernetes, &["namespace"]).to_owned(),
            account: str_at(kubernetes, &["serviceaccount", "name"]).to_owned(),
            account_uid: str_at(kubernetes, &["serviceaccount", "uid"]).to_owned(),
            bound: bound.collect(),
            audiences: list_at(&payload, &["aud"])
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            issued,
            expires,
            id: str_at(&payload, &["jti"]).to_owned(),
        })
    }

    /// Returns the public key as a JSON Web Key Set, for `/openid/v1/jwks`.
    pub(crate) fn key_set(&self) -> Value {
        // An uncompressed point: 0x04, then x and y of 32 bytes each.
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
        json!({"keys": [{
            "use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            namespace: "a".into(),
            account: "bot".into(),
            account_uid: "u1".into(),
            bound: vec![Bound {
                kind: "pod".into(),
                name: "p".into(),
                uid: "u2".into(),
            }],
            audiences: vec![ISSUER.into()],
            issued: 1_000,
            expires: 4_600,
            id: "j".into(),
        }
    }

    #[test]
    fn a_token_is_good_until_it_expires_and_no_byte_may_change() {
        let pki = crate::Pki::in_memory().expect("keys");
        let tokens = Tokens::new(pki.service_account_key()).expect("a P-256 key");
        let token = tokens.sign(&claims()).expect("a token");
        assert_eq!(tokens.verify(&token, 1_000), Some(claims()));
        assert_eq!(tokens.verify(&token, 4_600), None, "expired");
        assert_eq!(tokens.verify(&token, 0), None, "not yet valid");
        let other = Tokens::new(crate::Pki::in_memory().expect("keys").service_account_key());
        assert_eq!(
            other.expect("a key").verify(&token, 1_000),
            None,
            "signed by another"
        );
        for at in (0..token.len()).step_by(7) {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("text");
            assert_eq!(tokens.verify(&changed, 1_000), None, "changed at {at}");
        }
        for junk in ["", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(tokens.verify(junk, 1_000), None, "{junk}");
        }
    }
}
