//! Postfix's parameters, services, maps and references.

use super::super::tests::check;

pub(in super::super) const SAMPLE: &str = "\
compatibility_level = 3.6
certs = /etc/ssl/mail
base = ${certs}
smtpd_tls_cert_file = $(base)/rsa.pem
smtpd_tls_key_file=${base?{$base}:{/no}}/rsa.key
# a comment within
smtpd_tls_eccert_file =
    ${certs}/ec.pem
smtpd_tls_security_level = may
smtp_tls_cert_file = ${gone:$smtpd_tls_cert_file}
smtp_tls_key_file = $smtpd_tls_key_file
tls_server_sni_maps = hash:/etc/postfix/sni
loop = $loop$loop$loop
lmtp_tls_cert_file = $loop
inet_interfaces = 192.0.2.1, localhost
";

const MASTER: &str = "\
smtp      inet  n       -       y       -       -       smtpd
#smtp      inet  n       -       y       -       1       postscreen
submission inet n       -       y       -       -       smtpd
  -o smtpd_tls_security_level=encrypt
# between
  -o { smtpd_tls_cert_file = /own/sub mission.pem }
  -o smtpd_tls_key_file=$smtpd_tls_cert_file -o smtpd_tls_eccert_file= -o tls_server_sni_maps=
[::1]:smtps     inet  n       -       y       -       -       smtpd
  -osmtpd_tls_wrappermode=yes
127.0.0.1:10025 inet n - y - - smtpd -o smtpd_tls_security_level=none
pickup    unix  n       -       y       60      1       pickup
relay     unix  -       -       y       -       -       smtp
        -o smtp_tls_cert_file=/own/relay.pem
        -o smtp_tls_key_file=/own/relay.key
odd inet n - y - - smtpd
";

#[test]
fn services_show_what_is_theirs() {
    let main = "/etc/postfix/main.cf";
    let at = "at 192.0.2.1:25/smtp,127.0.0.1:25/smtp,::1:465";
    let key = "-----BEGIN RSA PRIVATE KEY-----\n";
    check(
        &[
            (main, SAMPLE),
            ("/etc/postfix/master.cf", MASTER),
            (
                "/etc/postfix/sni",
                "One.example.com /sni/one.key /sni/one.pem\n.two.example.com /sni/both.pem,\n  /sni/more.pem\n",
            ),
            ("/sni/one.key", key),
            ("/sni/one.pem", "-----BEGIN CERTIFICATE-----\n"),
            ("/sni/both.pem", "-----BEGIN EC PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n"),
        ],
        &[],
        &[
            &format!("{main}:4 /etc/ssl/mail/rsa.pem key=/etc/ssl/mail/rsa.key {at}"),
            &format!("{main}:7 /etc/ssl/mail/ec.pem {at}"),
            &format!("/etc/postfix/sni:1 /sni/one.pem key=/sni/one.key {at} for one.example.com"),
            &format!("/etc/postfix/sni:2 /sni/both.pem {at} for .two.example.com"),
            &format!("/etc/postfix/sni:2 /sni/more.pem {at} for .two.example.com"),
            "/etc/postfix/master.cf:3 /own/sub mission.pem at 192.0.2.1:587/smtp,127.0.0.1:587/smtp",
            &format!("{main}:10 /etc/ssl/mail/rsa.pem key=/etc/ssl/mail/rsa.key client"),
            "/etc/postfix/master.cf:12 /own/relay.pem key=/own/relay.key client",
        ],
        &[
            "/etc/postfix/master.cf:15: the port of the service odd is not known",
            &format!("/etc/postfix/main.cf:14: {}… is not known: not followed", "$loop".repeat(16)),
        ],
    );
}

#[test]
fn a_list_of_files_takes_the_place_of_others() {
    let text = "smtpd_tls_chain_files = /c/a.key, /c/a.pem\n  /c/b.pem\nsmtpd_tls_cert_file = /no.pem\nsmtp_tls_cert_file = none\n\
                tls_server_sni_maps = inline:{x=y}\nmulti_instance_directories = /etc/postfix-out relative\n";
    check(
        &[
            ("/etc/postfix/main.cf", text),
            ("/c/a.pem", "-----BEGIN CERTIFICATE-----\n"),
            ("/c/b.pem", "-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n"),
            (
                "/etc/postfix-out/main.cf",
                "smtpd_tls_cert_file = sub/x.pem\nsmtpd_use_tls = yes\ninet_interfaces = loopback-only",
            ),
            ("/etc/postfix-out/master.cf", "2525 inet n - y - - postscreen\n"),
        ],
        &[],
        &[
            "/etc/postfix/main.cf:1 /c/a.pem key=/c/a.key",
            "/etc/postfix/main.cf:1 /c/b.pem",
            "/etc/postfix-out/main.cf:1 /var/spool/postfix/sub/x.pem at 127.0.0.1:2525/smtp,::1:2525/smtp",
        ],
        &["/etc/postfix/main.cf:5: the map inline:{x=y} has no text beside it: not followed"],
    );
}

#[test]
fn files_that_cannot_be_read_are_not_guessed_at() {
    let text = "smtpd_tls_chain_files = /gone.key /gone.pem\nsmtp_tls_chain_files = /gone-too.pem\n";
    check(
        &[("/etc/postfix/main.cf", text)],
        &[],
        &["/etc/postfix/main.cf:2 /gone-too.pem client"],
        &["/etc/postfix/main.cf:1: /gone.key cannot be read: whether it is a key is not known"],
    );
}
