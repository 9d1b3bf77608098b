// SPDX-License-Identifier: Apache-2.0
// By hand: a thread for each connection, blocking sockets. Arguments: port.
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.CountDownLatch;

final class ServeSockets {
	private static final byte[] OK = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n".getBytes();

	public static void main(String[] args) throws IOException {
		ServerSocket listener = new ServerSocket(Integer.parseInt(args[0]), 1024,
			InetAddress.getByName("127.0.0.1"));
		Ask.begin(null);
		for (;;) {
			Socket s = listener.accept();
			s.setTcpNoDelay(true);
			Thread t = new Thread(Ask.loud(() -> serve(s)));
			t.setDaemon(true);
			t.start();
		}
	}

	private static void serve(Socket s) throws Exception {
		try (s; BufferedReader in = new BufferedReader(new InputStreamReader(s.getInputStream()))) {
			String first;
			while ((first = in.readLine()) != null) {
				String line;
				while ((line = in.readLine()) != null && !line.isEmpty())
					;
				CountDownLatch sent = new CountDownLatch(1);
				Ask.answer(call(first.split(" ")[1], s, sent));
				sent.await();
			}
		}
	}

	private static Ask.Call call(String path, Socket s, CountDownLatch sent) {
		return new Ask.Call() {
			public String path() {
				return path;
			}

			public void send() throws IOException {
				s.getOutputStream().write(OK);
				sent.countDown();
			}

			public void later(Runnable job, boolean shared) {
				Ask.workers.execute(job);
			}
		};
	}
}
