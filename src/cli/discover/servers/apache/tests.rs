//! Apache's virtual hosts, what they inherit, and its grammar.

use super::super::tests::{check, running};

pub(in super::super) const SAMPLE: &str = r#"
ServerRoot "/etc/apache2"
Define certs /etc/ssl/certs
Define nested ${certs}/sub
# SSLCertificateFile /no \
SSLCertificateFile /still-a-comment
Include ports.conf
IncludeOptional mods-enabled/*.load
<IfModule mod_ssl.c>
<VirtualHost *:443 [2001:db8::1]:8443>
    ServerName https://WWW.example.com:443
    ServerAlias example.com *.example.net
    SSLEngine on
    SSLCertificateFile "${certs}/rsa.pem"
    sslcertificatekeyfile ssl/rsa.key
    SSLCertificateFile ${nested}/ec.pem
    SSLCertificateChainFile \
        ssl/chain.pem
    <Location "/a"> SSLRequireSSL </Location>
    SSLProxyMachineCertificateFile /p/client.pem
</VirtualHost>
<VirtualHost 192.0.2.1>
    ServerName all-ports.example.com
    SSLEngine On
    SSLCertificateFile ${APACHE_CONFDIR}/x.pem
    SSLCertificateFile ${UNKNOWN}/x.pem
</VirtualHost>
</IfModule>
<Macro TLS $name $port>
    <VirtualHost *:$port>
        ServerName $name.example.com
        SSLEngine on
        SSLCertificateFile /m/$name.pem
        SSLCertificateKeyFile "pkcs11:object=$name"
    </VirtualHost>
</Macro>
Use TLS mail 444
Use Gone
"#;

#[test]
fn virtual_hosts_are_read_with_variables_includes_and_macros() {
    check(
        &[
            ("/etc/apache2/apache2.conf", SAMPLE),
            ("/etc/apache2/ports.conf", "Listen 80\nListen 192.0.2.1:443 https\nListen [::1]:444\n"),
            ("/etc/apache2/envvars", "unset HOME\nexport APACHE_CONFDIR=/srv/apache2$SUFFIX\n"),
        ],
        &[],
        &[
            "/etc/apache2/apache2.conf:14 /etc/ssl/certs/rsa.pem key=/etc/apache2/ssl/rsa.key chain=/etc/apache2/ssl/chain.pem at *:443,2001:db8::1:8443 for www.example.com,example.com,*.example.net",
            "/etc/apache2/apache2.conf:16 /etc/ssl/certs/sub/ec.pem chain=/etc/apache2/ssl/chain.pem at *:443,2001:db8::1:8443 for www.example.com,example.com,*.example.net",
            "/etc/apache2/apache2.conf:25 /srv/apache2/x.pem at 192.0.2.1:80,192.0.2.1:443 for all-ports.example.com",
            "/etc/apache2/apache2.conf:33 /m/mail.pem at *:444 for mail.example.com",
            "/etc/apache2/apache2.conf:20 /p/client.pem client",
        ],
        &[
            "/etc/apache2/apache2.conf:38: macro Gone is not known: not followed",
            "/etc/apache2/apache2.conf:26: ${UNKNOWN}/x.pem has a variable that is not defined: not followed",
            "/etc/apache2/apache2.conf:34: pkcs11:object=mail names no file: not followed",
        ],
    );
}

#[test]
fn hosts_inherit_from_the_server() {
    let text = "ServerRoot /etc/httpd\nListen 443\nSSLCertificateFile a.pem\nSSLCertificateFile b.pem\nSSLCertificateKeyFile a.key\n\
                Include conf.d\n";
    check(
        &[
            ("/etc/httpd/conf/httpd.conf", text),
            (
                "/etc/httpd/conf.d/1/x",
                "<VirtualHost _default_:443>\nSSLEngine on\nSSLCertificateFile own.pem\n</VirtualHost>",
            ),
            ("/etc/httpd/conf.d/2", "<VirtualHost *:*>\nSSLEngine optional\nServerName two\n</VirtualHost>"),
            ("/etc/httpd/conf.d/3", "<VirtualHost *:80>\nServerName plain\n</VirtualHost>"),
        ],
        &[],
        &[
            "/etc/httpd/conf.d/1/x:3 /etc/httpd/own.pem key=/etc/httpd/a.key at *:443",
            "/etc/httpd/conf/httpd.conf:4 /etc/httpd/b.pem at *:443",
            "/etc/httpd/conf/httpd.conf:3 /etc/httpd/a.pem key=/etc/httpd/a.key at *:443 for two",
            "/etc/httpd/conf/httpd.conf:4 /etc/httpd/b.pem at *:443 for two",
        ],
        &[],
    );
    let alone = "Listen 8443\nSSLEngine on\nServerName one\nSSLCertificateFile /a.pem\n";
    check(
        &[("/srv/my.conf", alone)],
        &[running("httpd", "/usr/sbin/httpd -f/srv/my.conf -DFOREGROUND")],
        &["/srv/my.conf:4 /a.pem at *:8443 for one"],
        &[],
    );
}

#[test]
fn what_mod_md_keeps_is_found() {
    let text = "MDomain one.example.com\nMDomain two.example.com\nMDStoreDir /md\n\
                <VirtualHost *:443>\nServerName one.example.com\nSSLEngine on\n</VirtualHost>\n\
                <VirtualHost *:443>\nServerName two.example.com\nSSLEngine on\n</VirtualHost>\n";
    check(
        &[("/etc/apache2/apache2.conf", text), ("/md/domains/one.example.com/pubcert.pem", "")],
        &[],
        &[
            "/etc/apache2/apache2.conf:1 /md/domains/one.example.com/pubcert.pem key=/md/domains/one.example.com/privkey.pem at *:443 for one.example.com",
        ],
        &[
            "/etc/apache2/apache2.conf:2: mod_md keeps the certificate of two.example.com, and not in /md/domains/two.example.com: not followed",
        ],
    );
}

#[test]
fn macros_and_includes_end() {
    let text = "<Macro a>\nUse a\nUse a\n</Macro>\nUse a\nInclude apache2.conf\n";
    check(
        &[("/etc/apache2/apache2.conf", text)],
        &[],
        &[],
        &[
            "/etc/apache2/apache2.conf:2: macro a is not followed: too many are used",
            "/etc/apache2/apache2.conf:3: macro a is not followed: too many are used",
            "/etc/apache2/apache2.conf:6: includes /etc/apache2/apache2.conf, which is being read: ignored",
        ],
    );
}
