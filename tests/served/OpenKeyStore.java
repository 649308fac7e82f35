import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Collections;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** Opens PKCS#12 files as an application server does: signs with each key, checks each chain, and serves TLS with both. */
public class OpenKeyStore {
    public static void main(String[] arguments) throws Exception {
        char[] password = arguments[0].toCharArray();
        for (int i = 1; i < arguments.length; i++) {
            open(arguments[i], password);
        }
    }

    private static void open(String file, char[] password) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(file)) {
            store.load(in, password);
        }
        String alias = Collections.list(store.aliases()).get(0);
        Certificate[] chain = store.getCertificateChain(alias);
        for (int i = 0; i + 1 < chain.length; i++) {
            chain[i].verify(chain[i + 1].getPublicKey());
        }
        PrivateKey key = (PrivateKey) store.getKey(alias, password);
        sign(key, chain[0]);
        serve(store, password, chain);
        String serial = ((X509Certificate) chain[0]).getSerialNumber().toString(16);
        System.out.println(store.size() + " " + alias + " " + chain.length + " " + serial);
    }

    private static void sign(PrivateKey key, Certificate leaf) throws Exception {
        String algorithm = key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
        Signature signature = Signature.getInstance(algorithm);
        signature.initSign(key);
        signature.update(new byte[] {1, 2, 3});
        byte[] signed = signature.sign();
        signature.initVerify(leaf);
        signature.update(new byte[] {1, 2, 3});
        if (!signature.verify(signed)) {
            throw new IllegalStateException("the key is not the certificate's");
        }
    }

    private static void serve(KeyStore store, char[] password, Certificate[] chain) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, password);
        SSLContext server = SSLContext.getInstance("TLS");
        server.init(keys.getKeyManagers(), null, null);
        KeyStore anchors = KeyStore.getInstance(KeyStore.getDefaultType());
        anchors.load(null, null);
        anchors.setCertificateEntry("issuer", chain[chain.length - 1]);
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(anchors);
        SSLContext client = SSLContext.getInstance("TLS");
        client.init(null, trust.getTrustManagers(), null);
        try (SSLServerSocket listener = (SSLServerSocket) server.getServerSocketFactory().createServerSocket(0)) {
            Thread peer = new Thread(() -> {
                try (SSLSocket socket = (SSLSocket) listener.accept()) {
                    socket.getOutputStream().write(42);
                } catch (Exception exception) {
                    exception.printStackTrace();
                }
            });
            peer.start();
            try (SSLSocket socket = (SSLSocket) client.getSocketFactory()
                    .createSocket("127.0.0.1", listener.getLocalPort())) {
                if (socket.getInputStream().read() != 42) {
                    throw new IllegalStateException("nothing was served");
                }
            }
            peer.join();
        }
    }
}
