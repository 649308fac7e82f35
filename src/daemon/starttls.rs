//! The few words before TLS where a protocol upgrades to it. Everything that is read is bounded.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::core::text::Text;
use crate::core::wanted::entry::StartTls;

/// Asks the server to begin TLS.
///
/// # Errors
///
/// What the server said instead of yes.
pub(super) async fn upgrade(stream: &mut TcpStream, protocol: StartTls) -> Result<(), String> {
    match protocol {
        StartTls::Smtp => smtp(stream).await,
        StartTls::Imap => {
            expect(stream, "* OK", "a greeting").await?;
            say(stream, b"a STARTTLS\r\n").await?;
            tagged(stream, "a ").await
        }
        StartTls::Pop3 => {
            expect(stream, "+OK", "a greeting").await?;
            say(stream, b"STLS\r\n").await?;
            expect(stream, "+OK", "STLS").await
        }
        StartTls::Postgres => postgres(stream).await,
        StartTls::Ldap => ldap(stream).await,
        StartTls::Mysql => mysql(stream).await,
    }
}

/// RFC 3207.
async fn smtp(stream: &mut TcpStream) -> Result<(), String> {
    replies(stream, "220", "a greeting").await?;
    say(stream, b"EHLO renewd.invalid\r\n").await?;
    let extensions = replies(stream, "250", "EHLO").await?;
    if !extensions.iter().any(|line| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"))) {
        return Err("the SMTP server offers no STARTTLS".to_owned());
    }
    say(stream, b"STARTTLS\r\n").await?;
    replies(stream, "220", "STARTTLS").await.map(drop)
}

/// The lines of one SMTP reply, which all begin with its code.
async fn replies(stream: &mut TcpStream, code: &str, to: &str) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    loop {
        let line = line(stream).await?;
        if !line.starts_with(code) {
            return Err(refused(to, &line));
        }
        let is_last = line.as_bytes().get(3) != Some(&b'-');
        lines.push(line);
        if is_last {
            return Ok(lines);
        }
        if lines.len() > MOST_LINES {
            return Err(format!("the server's reply to {to} does not end"));
        }
    }
}

async fn expect(stream: &mut TcpStream, start: &str, to: &str) -> Result<(), String> {
    let line = line(stream).await?;
    if line.starts_with(start) { Ok(()) } else { Err(refused(to, &line)) }
}

/// IMAP's answer to our command, after what it may say unasked.
async fn tagged(stream: &mut TcpStream, tag: &str) -> Result<(), String> {
    for _ in 0..MOST_LINES {
        let line = line(stream).await?;
        if let Some(answer) = line.strip_prefix(tag) {
            return if answer.starts_with("OK") { Ok(()) } else { Err(refused("STARTTLS", &line)) };
        }
    }
    Err("the server's reply to STARTTLS does not end".to_owned())
}

/// PostgreSQL's SSLRequest: its length, its code, and one byte in answer.
async fn postgres(stream: &mut TcpStream) -> Result<(), String> {
    say(stream, &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).await?;
    match stream.read_u8().await.map_err(lost)? {
        b'S' => Ok(()),
        b'N' => Err("PostgreSQL answers that it has no TLS (ssl = off)".to_owned()),
        other => Err(format!("PostgreSQL answers SSLRequest with byte {other:#04x}")),
    }
}

/// RFC 4511 section 4.14: an extended request of STARTTLS's object identifier, and a response whose result is success.
async fn ldap(stream: &mut TcpStream) -> Result<(), String> {
    let mut request = vec![0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16];
    request.extend(b"1.3.6.1.4.1.1466.20037");
    say(stream, &request).await?;
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.map_err(lost)?;
    let [tag, length] = head;
    if tag != 0x30 || length & 0x80 != 0 {
        return Err("the response to LDAP's STARTTLS is not LDAP".to_owned());
    }
    let mut body = vec![0; usize::from(length)];
    stream.read_exact(&mut body).await.map_err(lost)?;
    // Message id 1, an extended response, and its result code.
    match body.as_slice() {
        [0x02, 0x01, 0x01, 0x78, _, 0x0a, 0x01, 0x00, ..] => Ok(()),
        [0x02, 0x01, 0x01, 0x78, _, 0x0a, 0x01, code, ..] => Err(format!("LDAP refuses STARTTLS with result {code}")),
        _ => Err("the response to LDAP's STARTTLS is not LDAP".to_owned()),
    }
}

/// The handshake of MySQL and MariaDB: the server's first packet says what it is capable of; a client answers with the first
/// half of its own, which says that TLS follows.
async fn mysql(stream: &mut TcpStream) -> Result<(), String> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(lost)?;
    let [low, middle, high, _] = head;
    let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
    if length > LONGEST_LINE {
        return Err("the first packet is not of MySQL".to_owned());
    }
    let mut greeting = vec![0; length];
    stream.read_exact(&mut greeting).await.map_err(lost)?;
    // Protocol version 10, a version that ends with NUL, four bytes of an id, nine of a challenge; then what it is capable of.
    let after_version = match greeting.as_slice() {
        [10, rest @ ..] => rest.iter().position(|byte| *byte == 0).and_then(|at| rest.get(at + 1..)),
        [0xff, _, _, why @ ..] => return Err(refused("the connection", &String::from_utf8_lossy(why))),
        _ => None,
    };
    match after_version.and_then(|rest| Some(u16::from_le_bytes([*rest.get(13)?, *rest.get(14)?]))) {
        Some(capabilities) if capabilities & MYSQL_SSL != 0 => {}
        Some(_) => return Err("the MySQL server has no TLS (have_ssl)".to_owned()),
        None => return Err("the first packet is not of MySQL".to_owned()),
    }
    // 32 bytes, as the second packet: capabilities, no bound on packets, UTF-8, and 23 that are reserved.
    let mut request = vec![32, 0, 0, 1];
    request.extend(u32::from(MYSQL_SSL | MYSQL_41 | MYSQL_SECURE).to_le_bytes());
    request.extend([0, 0, 0, 1, 45]);
    request.extend([0; 23]);
    say(stream, &request).await
}

async fn say(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), String> {
    stream.write_all(bytes).await.map_err(lost)
}

/// One line, byte by byte: what follows it belongs to TLS.
async fn line(stream: &mut TcpStream) -> Result<String, String> {
    let mut line = Vec::new();
    while line.len() < LONGEST_LINE {
        match stream.read_u8().await.map_err(lost)? {
            b'\n' => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            byte => line.push(byte),
        }
    }
    Err("the server's line does not end".to_owned())
}

fn refused(to: &str, line: &str) -> String {
    format!("the server answers {to} with: {}", Text::new(line))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn lost(error: std::io::Error) -> String {
    format!("the connection broke before TLS: {error}")
}

const LONGEST_LINE: usize = 4096;
/// CLIENT_PROTOCOL_41, CLIENT_SSL and CLIENT_SECURE_CONNECTION.
const MYSQL_41: u16 = 0x0200;
const MYSQL_SSL: u16 = 0x0800;
const MYSQL_SECURE: u16 = 0x8000;
const MOST_LINES: usize = 100;
