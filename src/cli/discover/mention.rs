//! A certificate that a server's configuration names: what the readers of [`super::servers`] find.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::core::wanted::entry::StartTls;

/// A certificate that a server's configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::discover) struct Mention {
    pub(in crate::cli::discover) server: Server,
    /// Where it says so.
    pub(in crate::cli::discover) file: PathBuf,
    pub(in crate::cli::discover) line: usize,
    /// The certificate's file, or the keystore. Absolute, as the host calls it; symlinks are not resolved.
    pub(in crate::cli::discover) certificate: PathBuf,
    /// `None`: in the certificate's file.
    pub(in crate::cli::discover) key: Option<PathBuf>,
    /// The file of the intermediates, where it is another.
    pub(in crate::cli::discover) chain: Option<PathBuf>,
    /// A keystore's password where the configuration holds it, or the one that the server takes where it says none.
    pub(in crate::cli::discover) password: Option<Secret>,
    pub(in crate::cli::discover) side: Side,
    /// Where it is served over TCP, as far as the configuration says; default ports are filled in.
    pub(in crate::cli::discover) listens: Vec<Listen>,
    /// The names it is for, in the configuration's words, in lower case.
    pub(in crate::cli::discover) names: Vec<String>,
}

impl Mention {
    /// A certificate that a server shows, and whose file holds the key.
    pub(in crate::cli::discover) fn new(server: Server, file: &Path, line: usize, certificate: PathBuf) -> Self {
        Self {
            server,
            file: file.to_owned(),
            line,
            certificate,
            key: None,
            chain: None,
            password: None,
            side: Side::Server,
            listens: Vec::new(),
            names: Vec::new(),
        }
    }
}

/// Who uses a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli::discover) enum Side {
    /// The server shows it to its clients.
    Server,
    /// The server is itself a client and shows it to another.
    Client,
}

/// Where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::discover) struct Listen {
    /// `None`: all of them, of one family or both.
    pub(in crate::cli::discover) address: Option<IpAddr>,
    pub(in crate::cli::discover) port: u16,
    /// `None`: TLS at once. MySQL's own beginning has no name here: its listeners have `None`, too.
    pub(in crate::cli::discover) starttls: Option<StartTls>,
}

/// A word that nobody may see.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cli::discover) struct Secret(pub(in crate::cli::discover) Zeroizing<String>);

impl Secret {
    pub(in crate::cli::discover) fn new(word: &str) -> Self {
        Self(Zeroizing::new(word.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A program whose configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::cli::discover) enum Server {
    Nginx,
    Apache,
    Haproxy,
    Postfix,
    Dovecot,
    Postgresql,
    Mysql,
    Tomcat,
    Lighttpd,
    Stunnel,
    Openldap,
    Exim,
    Redis,
}

impl Server {
    pub(in crate::cli::discover) const fn as_str(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Haproxy => "haproxy",
            Self::Postfix => "postfix",
            Self::Dovecot => "dovecot",
            Self::Postgresql => "postgresql",
            Self::Mysql => "mysql",
            Self::Tomcat => "tomcat",
            Self::Lighttpd => "lighttpd",
            Self::Stunnel => "stunnel",
            Self::Openldap => "openldap",
            Self::Exim => "exim",
            Self::Redis => "redis",
        }
    }

    /// The units under which Debian and the RHEL family run it, with the verb of `systemctl` that has it read a new
    /// certificate.
    pub(in crate::cli::discover) const fn reload(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Nginx => &[("nginx.service", "reload")],
            Self::Apache => &[("apache2.service", "reload"), ("httpd.service", "reload")],
            Self::Haproxy => &[("haproxy.service", "reload")],
            Self::Postfix => &[("postfix.service", "reload")],
            Self::Dovecot => &[("dovecot.service", "reload")],
            // Debian's reloads every cluster.
            Self::Postgresql => &[("postgresql.service", "reload")],
            // Their units have no reload; in SQL it is ALTER INSTANCE RELOAD TLS, or FLUSH SSL.
            Self::Mysql => {
                &[("mariadb.service", "restart"), ("mysql.service", "restart"), ("mysqld.service", "restart")]
            }
            Self::Tomcat => {
                &[("tomcat10.service", "restart"), ("tomcat9.service", "restart"), ("tomcat.service", "restart")]
            }
            // SIGUSR1, a graceful restart.
            Self::Lighttpd => &[("lighttpd.service", "reload")],
            // Debian's has a reload, the other's unit has none.
            Self::Stunnel => &[("stunnel4.service", "reload"), ("stunnel.service", "restart")],
            Self::Openldap => &[("slapd.service", "restart")],
            Self::Exim => &[("exim4.service", "reload"), ("exim.service", "reload")],
            Self::Redis => &[
                ("redis-server.service", "restart"),
                ("redis.service", "restart"),
                ("valkey-server.service", "restart"),
                ("valkey.service", "restart"),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let mut mention = Mention::new(Server::Tomcat, Path::new("/a"), 1, PathBuf::from("/b"));
        mention.password = Some(Secret::new("changeit"));
        assert!(!format!("{mention:?}").contains("changeit"));
    }
}
