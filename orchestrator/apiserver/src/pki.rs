//! The cluster's own certificate authority and the keys that hang off it.
//!
//! Everything is ECDSA P-256: a key takes microseconds to make, so a first start stays short.
//! The CA and the ServiceAccount signing key live in a directory; certificates issued from them
//! are handed out as PEM and kept nowhere. This file does not know who may hold which identity.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

/// Ten years, as kubeadm gives its CA.
const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// One year, as kubeadm gives the certificates it issues. New ones are issued at every start.
const LEAF_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// Certificates are valid from five minutes ago, so that a clock slightly behind accepts them.
const BACKDATE: Duration = Duration::from_secs(300);

/// Says what went wrong with a key or certificate, and where.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or the directory itself could not be created or read.
    #[error("cannot use the certificate file {path} (check that this user may read and write it)")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is there but is not what it should be.
    #[error(
        "{path} is damaged: {what} (restore it, or remove the directory to make a new authority)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A certificate could not be made.
    #[error("cannot issue a certificate for {subject}")]
    Issue {
        /// Whose certificate.
        subject: String,
        /// What the library said.
        #[source]
        source: rcgen::Error,
    },
}

/// A certificate and its private key, both as PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub cert_pem: String,
    /// The private key (PKCS#8).
    pub key_pem: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key must not reach a log by way of whatever holds the pair.
        f.debug_struct("Pair")
            .field("cert_pem", &self.cert_pem)
            .finish_non_exhaustive()
    }
}

impl Pair {
    /// Returns certificate and key in the form rustls takes.
    ///
    /// # Errors
    /// When one of the two is not valid PEM.
    pub fn to_rustls(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), rustls_pki_types::pem::Error>
    {
        let certs = CertificateDer::pem_slice_iter(self.cert_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())?;
        Ok((certs, key))
    }
}

/// The certificate authority of one cluster.
pub struct Pki {
    ca_pem: String,
    ca_der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    service_account_key: Vec<u8>,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki").finish_non_exhaustive()
    }
}

impl Pki {
    /// Opens the authority in `dir`, and makes one there when the directory holds none.
    ///
    /// # Errors
    /// When the directory cannot be written or a file in it is damaged.
    pub fn open(dir: &Path) -> Result<Pki, PkiError> {
        let at = |source, path: &Path| PkiError::File {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(dir).map_err(|e| at(e, dir))?;
        let (cert_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        if !cert_path.exists() || !key_path.exists() {
            let (cert, key) = new_authority()?;
            write_private(&key_path, key.as_bytes())?;
            write_private(&cert_path, cert.as_bytes())?;
        }
        let sa_path = dir.join("sa.key");
        if !sa_path.exists() {
            let key = new_key("service accounts")?;
            write_private(&sa_path, key.serialize_pem().as_bytes())?;
        }
        let ca_pem = fs::read_to_string(&cert_path).map_err(|e| at(e, &cert_path))?;
        let key_pem = fs::read_to_string(&key_path).map_err(|e| at(e, &key_path))?;
        let sa_pem = fs::read_to_string(&sa_path).map_err(|e| at(e, &sa_path))?;
        Self::from_pem(&ca_pem, &key_pem, &sa_pem).map_err(|what| PkiError::Damaged {
            path: match what.0 {
                0 => cert_path,
                1 => key_path,
                _ => sa_path,
            },
            what: what.1,
        })
    }

    /// Makes an authority that lives in memory only, for tests.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn in_memory() -> Result<Pki, PkiError> {
        let (cert, key) = new_authority()?;
        let sa = new_key("service accounts")?.serialize_pem();
        Self::from_pem(&cert, &key, &sa).map_err(|(_, what)| PkiError::Damaged {
            path: "memory".into(),
            what,
        })
    }

    fn from_pem(ca_pem: &str, key_pem: &str, sa_pem: &str) -> Result<Pki, (usize, String)> {
        let ca_der = CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .map_err(|e| (0, format!("not a PEM certificate: {e:?}")))?;
        let key = KeyPair::from_pem(key_pem).map_err(|e| (1, format!("not a PEM key: {e}")))?;
        let issuer = Issuer::from_ca_cert_der(&ca_der, key)
            .map_err(|e| (0, format!("not a CA certificate: {e}")))?;
        let sa = PrivatePkcs8KeyDer::from_pem_slice(sa_pem.as_bytes())
            .map_err(|e| (2, format!("not a PEM key: {e:?}")))?;
        Ok(Pki {
            ca_pem: ca_pem.to_owned(),
            ca_der,
            issuer,
            service_account_key: sa.secret_pkcs8_der().to_vec(),
        })
    }

    /// Returns the CA certificate as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns the CA certificate as DER.
    pub fn ca_der(&self) -> &CertificateDer<'static> {
        &self.ca_der
    }

    /// Returns the PKCS#8 key that signs ServiceAccount tokens.
    pub(crate) fn service_account_key(&self) -> &[u8] {
        &self.service_account_key
    }

    /// Issues a client certificate: `user` becomes the common name, each group (at most two) an
    /// organization, as the x509 authenticator of Kubernetes reads them.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Pair, PkiError> {
        let mut params = leaf(user, groups);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(user, params)
    }

    /// Issues a serving certificate for host names and IP addresses, usable as a client
    /// certificate too (a node serves and calls with the same identity).
    ///
    /// # Errors
    /// When a name is not a valid DNS name or the certificate cannot be made.
    pub fn server(
        &self,
        common_name: &str,
        groups: &[&str],
        names: &[String],
    ) -> Result<Pair, PkiError> {
        let mut params = leaf(common_name, groups);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        for name in names {
            let san = match name.parse::<IpAddr>() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => SanType::DnsName(name.as_str().try_into().map_err(|source| {
                    PkiError::Issue {
                        subject: name.clone(),
                        source,
                    }
                })?),
            };
            if !params.subject_alt_names.contains(&san) {
                params.subject_alt_names.push(san);
            }
        }
        self.issue(common_name, params)
    }

    fn issue(&self, subject: &str, params: CertificateParams) -> Result<Pair, PkiError> {
        let key = new_key(subject)?;
        let cert = params
            .signed_by(&key, &self.issuer)
            .map_err(|source| PkiError::Issue {
                subject: subject.to_owned(),
                source,
            })?;
        Ok(Pair {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

/// Returns the text of a kubeconfig with one cluster, one user and one context.
pub fn kubeconfig(server: &str, ca_pem: &str, user: &str, pair: &Pair) -> String {
    let b64 = |text: &str| STANDARD.encode(text);
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: ordain\n\
         clusters:\n- name: ordain\n  cluster:\n    server: {server}\n    certificate-authority-data: {}\n\
         users:\n- name: {user}\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n\
         contexts:\n- name: ordain\n  context:\n    cluster: ordain\n    user: {user}\n",
        b64(ca_pem),
        b64(&pair.cert_pem),
        b64(&pair.key_pem)
    )
}

fn new_key(subject: &str) -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|source| PkiError::Issue {
        subject: subject.to_owned(),
        source,
    })
}

fn new_authority() -> Result<(String, String), PkiError> {
    let key = new_key("the cluster CA")?;
    let mut params = leaf("ordain-ca", &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.not_after = (SystemTime::now() + CA_LIFETIME).into();
    let cert = params.self_signed(&key).map_err(|source| PkiError::Issue {
        subject: "the cluster CA".to_owned(),
        source,
    })?;
    Ok((cert.pem(), key.serialize_pem()))
}

fn leaf(common_name: &str, organizations: &[&str]) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(
        DnType::CommonName,
        DnValue::Utf8String(common_name.to_owned()),
    );
    // rcgen's name is a map, so a second organization rides in as a custom type of the same OID.
    let kinds = [
        DnType::OrganizationName,
        DnType::CustomDnType(vec![2, 5, 4, 10]),
    ];
    for (kind, group) in kinds.into_iter().zip(organizations) {
        name.push(kind, DnValue::Utf8String((*group).to_owned()));
    }
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + LEAF_LIFETIME).into();
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params
}

/// Writes a file that only its owner may read, through a temporary name so that a crash leaves
/// the old file or the new one.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), PkiError> {
    let at = |source| PkiError::File {
        path: path.to_owned(),
        source,
    };
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&temporary).map_err(at)?;
    io::Write::write_all(&mut file, bytes)
        .and_then(|()| file.sync_all())
        .map_err(at)?;
    fs::rename(&temporary, path).map_err(at)
}
