import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/** A TCP proxy to one server that can be cut, and stays cut until it is mended. */
final class Proxy implements AutoCloseable {
    private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final String host;
    private final int port;
    private final List<Socket> open = new ArrayList<>();
    private boolean cut;

    Proxy(String server) throws IOException {
        int colon = server.lastIndexOf(':');
        host = server.substring(0, colon);
        port = Integer.parseInt(server.substring(colon + 1));
        start(this::serve);
    }

    String address() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    synchronized void cut() throws IOException {
        cut = true;
        for (Socket s : open) {
            s.close();
        }
        open.clear();
    }

    synchronized void mend() {
        cut = false;
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
    }

    private void serve() throws IOException {
        while (true) {
            join(listener.accept());
        }
    }

    private synchronized void join(Socket client) throws IOException {
        if (cut) {
            client.close();
            return;
        }
        Socket server = new Socket();
        server.connect(new InetSocketAddress(host, port), 5_000);
        open.add(client);
        open.add(server);
        start(() -> copy(client, server));
        start(() -> copy(server, client));
    }

    private static void copy(Socket from, Socket to) throws IOException {
        byte[] buffer = new byte[1 << 16];
        try (from; to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                out.write(buffer, 0, n);
            }
        }
    }

    private interface Body {
        void run() throws IOException;
    }

    private static void start(Body body) {
        Thread t = new Thread(() -> {
            try {
                body.run();
            } catch (IOException e) {
                // one side has closed, or the proxy was cut
            }
        });
        t.setDaemon(true);
        t.start();
    }
}
