//! A plain caller of the simulator: raw JSON in, raw JSON out.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256, RsaKeySize,
};
use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, Identity, Method, Proxy, RequestBuilder};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::simulator::{Options, ProfileSpec, Simulator};

/// A simulator with one profile, and a client that trusts it.
pub(crate) struct Caller {
    pub(crate) simulator: Simulator,
    pub(crate) profile: String,
    client: Client,
    runtime: Runtime,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// `Null` where the body is no JSON.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.json["errors"][0]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.json["errors"][0]["message"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn str(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_else(|| panic!("no text {field:?} in {}", self.text))
    }
}

impl Caller {
    pub(crate) fn new(profile: ProfileSpec) -> Self {
        let simulator = Simulator::start(Options::default());
        let profile = simulator.add_profile(profile);
        let client = client(&simulator, None, None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { simulator, profile, client, runtime }
    }

    pub(crate) fn through(self, proxy: Proxy) -> Self {
        let client = client(&self.simulator, Some(proxy), None);
        Self { client, ..self }
    }

    pub(crate) fn identified(self) -> Self {
        let identity = Identity::from_pem(self.simulator.client_identity_pem().as_bytes()).unwrap();
        let client = client(&self.simulator, None, Some(identity));
        Self { client, ..self }
    }

    /// A request without any header of its own.
    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.simulator.url()))
    }

    /// A request with the key.
    pub(crate) fn keyed(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, path).header("x-api-key", self.simulator.api_key()).header("accept", "application/json")
    }

    pub(crate) fn send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = response.text().await?;
            let json = serde_json::from_str(&text).unwrap_or(Value::Null);
            Ok(Answer { status, headers, text, json })
        })
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(self.keyed("GET", path)).unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &Value) -> RequestBuilder {
        self.keyed(method, path).header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path, body)).unwrap()
    }

    /// A body that POST certificate takes.
    pub(crate) fn body(&self) -> Value {
        body(&self.profile, &csr(&p256(), &[("common_name", "www.example.com")]))
    }

    pub(crate) fn issue(&self) -> Answer {
        self.post(ISSUE, &self.body())
    }

    /// Issues; the answer is the serial number.
    pub(crate) fn issued(&self) -> String {
        let answer = self.issue();
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.str("serial_number").to_owned()
    }

    pub(crate) fn renew(&self, serial: &str) -> Answer {
        let csr = csr(&p256(), &[("common_name", "www.example.com")]);
        self.post(&format!("{ISSUE}/{serial}/renew"), &json!({"csr": csr, "delivery_format": "x509"}))
    }

    pub(crate) fn pick_up(&self, id: &str) -> Answer {
        self.post(&format!("/mpki/api/v1/certificate-pickup/{id}"), &json!({"profile": {"id": self.profile}}))
    }
}

fn client(simulator: &Simulator, proxy: Option<Proxy>, identity: Option<Identity>) -> Client {
    let root = Certificate::from_pem(simulator.ca_pem().as_bytes()).unwrap();
    let mut builder = Client::builder()
        .tls_certs_only([root])
        .redirect(reqwest::redirect::Policy::none())
        .resolve("localhost", (IpAddr::from([127, 0, 0, 1]), simulator.port()).into())
        .timeout(Duration::from_secs(10));
    builder = match proxy {
        Some(proxy) => builder.proxy(proxy),
        None => builder.no_proxy(),
    };
    if let Some(identity) = identity {
        builder = builder.identity(identity);
    }
    builder.build().unwrap()
}

pub(crate) const ISSUE: &str = "/mpki/api/v1/certificate";

pub(crate) fn body(profile: &str, csr: &str) -> Value {
    json!({
        "profile": {"id": profile},
        "seat": {"seat_id": "www.example.com"},
        "csr": csr,
        "delivery_format": "x509",
        "include_ca_chain": true,
        "attributes": {
            "subject": {"common_name": "www.example.com"},
            "extensions": {"san": {"dns_names": ["www.example.com", "example.com"], "ip_addresses": ["192.0.2.1"]}},
        },
    })
}

pub(crate) fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

pub(crate) fn key_of(bits: usize) -> KeyPair {
    match bits {
        256 => p256(),
        384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        521 => KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap(),
        2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
        _ => panic!("no key of {bits} bits"),
    }
}

/// A signing request as PEM.
pub(crate) fn csr(key: &KeyPair, subject: &[(&str, &str)]) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    for (name, value) in subject {
        let kind = match *name {
            "common_name" => DnType::CommonName,
            "organization_name" => DnType::OrganizationName,
            "country" => DnType::CountryName,
            _ => panic!("no attribute {name:?}"),
        };
        params.distinguished_name.push(kind, *value);
    }
    params.serialize_request(key).unwrap().pem().unwrap()
}
