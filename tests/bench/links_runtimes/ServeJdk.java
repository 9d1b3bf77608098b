// SPDX-License-Identifier: Apache-2.0
// The JDK's own server with a pool of threads, that does other jobs on them, too, if said so.
// Arguments: port, threads, "jobs".
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.ExecutorService;

final class ServeJdk {
	public static void main(String[] args) throws IOException {
		HttpServer server = HttpServer.create(
			new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 1024);
		ExecutorService own = Ask.daemons(Integer.parseInt(args[1]));
		server.setExecutor(own);
		server.createContext("/", exchange -> {
			try {
				Ask.answer(call(exchange, own));
			} catch (Exception e) {
				throw new IOException(e);
			}
		});
		server.start();
		Ask.begin(args.length > 2 ? own : null);
	}

	private static Ask.Call call(HttpExchange exchange, ExecutorService own) {
		return new Ask.Call() {
			public String path() {
				return exchange.getRequestURI().getPath();
			}

			public void send() throws IOException {
				exchange.getRequestBody().readAllBytes();
				exchange.sendResponseHeaders(200, 3);
				exchange.getResponseBody().write("ok\n".getBytes());
				exchange.close();
			}

			public void later(Runnable job, boolean shared) {
				(shared ? own : Ask.workers).execute(job);
			}
		};
	}
}
