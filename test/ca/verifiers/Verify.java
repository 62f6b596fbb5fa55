import java.net.Socket;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/** For each HOST=PORT: whether the certificate presented there is valid for HOST. The truststore is a system property. */
final class Verify {
    public static void main(String[] targets) {
        for (String target : targets) {
            int at = target.lastIndexOf('=');
            System.out.println(answerOf(target.substring(0, at), Integer.parseInt(target.substring(at + 1))));
        }
    }

    private static String answerOf(String host, int port) {
        SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
        try (SSLSocket socket = (SSLSocket) factory.createSocket(new Socket("127.0.0.1", port), host, port, true)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            return "ok";
        } catch (Exception error) {
            return ("refused: " + error).replace('\n', ' ');
        }
    }
}
