//! Keys, signing requests, certificates, chains, and the gate (promise 1). Pure but for the random numbers of new keys:
//! no file, no network, no clock. Nothing here shows key material, and no input, whatever its bytes, causes a panic.

pub mod answer;
pub mod certificate;
pub mod chain;
mod client;
mod constraint;
pub mod csr;
pub mod digest;
mod extension;
pub mod gate;
pub mod key;
pub mod leaf;
mod name;
mod oid;
#[cfg(test)]
mod openssl;
pub mod pem;
pub mod pkcs12;
pub mod pkcs7;
pub mod purpose;
pub mod served;
mod signature;
mod spki;
#[cfg(test)]
mod test_ca;
pub mod unicode;
