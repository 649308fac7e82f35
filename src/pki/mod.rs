//! Keys, signing requests, certificates, chains, and the gate (promise 1). Pure but for the random numbers of new keys:
//! no file, no network, no clock. Nothing here shows key material, and no input, whatever its bytes, causes a panic.

pub mod answer;
pub mod certificate;
pub mod certificate_file;
pub mod chain;
mod client;
mod constraint;
pub mod crl;
pub mod csr;
mod der;
pub mod digest;
mod extension;
mod frame;
pub mod gate;
pub mod key;
pub mod key_file;
pub mod key_kind;
pub mod leaf;
mod name;
pub mod ocsp;
mod oid;
#[cfg(test)]
mod openssl;
pub mod pem;
mod pem_file;
pub mod pkcs12;
pub mod pkcs7;
pub mod public_key;
pub mod purpose;
pub mod served;
mod signature;
mod spki;
pub mod standing;
mod strict;
#[cfg(test)]
pub(crate) mod test_ca;
#[cfg(test)]
mod test_crl;
pub mod unicode;
