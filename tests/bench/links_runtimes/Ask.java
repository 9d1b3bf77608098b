// SPDX-License-Identifier: Apache-2.0
// What a service in Java does with a request /SHAPE/r/ID: as links_services/ask.py, with HttpURLConnection
// or java.net.http. It knows nothing of tracing.
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.*;

final class Ask {
	// A request that has been read.
	interface Call {
		String path();

		void send() throws IOException;

		// job answers it, on the server's own threads or on those of a pool.
		void later(Runnable job, boolean own);
	}

	interface Get {
		void get(String url, boolean fresh) throws Exception;
	}

	interface Job {
		void run() throws Exception;
	}

	static final String UPSTREAM = System.getenv("UPSTREAM");
	static final ExecutorService workers = daemons(16);
	private static final Semaphore pool = new Semaphore(4);
	private static final Get client = client(System.getenv("CLIENT"));

	static ExecutorService daemons(int n) {
		return Executors.newFixedThreadPool(n, r -> {
			Thread t = new Thread(r);
			t.setDaemon(true);
			return t;
		});
	}

	private static Get client(String name) {
		if (name.equals("HttpURLConnection"))
			return Ask::byUrlConnection;
		HttpClient c = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
		return (url, fresh) -> c.send(HttpRequest.newBuilder(URI.create(url)).build(),
			HttpResponse.BodyHandlers.ofString());
	}

	private static void byUrlConnection(String url, boolean fresh) throws Exception {
		HttpURLConnection c = (HttpURLConnection)new URL(url).openConnection();
		c.setReadTimeout(60000); // it waits by poll(), then
		if (fresh)
			c.setRequestProperty("Connection", "close");
		try (InputStream in = c.getInputStream()) {
			in.readAllBytes();
		}
	}

	private static String url(String number, int n, String host) {
		return "http://" + host + ":" + UPSTREAM + "/out/" + number + "/" + n;
	}

	private static void get(String number, int n) throws Exception {
		client.get(url(number, n, "127.0.0.1"), false);
	}

	private static void pause() throws Exception {
		Thread.sleep(ThreadLocalRandom.current().nextInt(10));
	}

	private static void inTurn(String number, String host, boolean fresh) throws Exception {
		for (int n = 0; n < 2; n++)
			client.get(url(number, n, host), fresh);
	}

	private static void inTurn(String number) throws Exception {
		inTurn(number, "127.0.0.1", false);
	}

	private static Future<?> byWorker(String number, int n) {
		return workers.submit(() -> {
			get(number, n);
			return null;
		});
	}

	private static void shape(String shape, String number) throws Exception {
		switch (shape) {
		case "before":
			pause();
			inTurn(number);
			break;
		case "between":
			for (int n = 0; n < 3; n++) {
				get(number, n);
				pause();
			}
			break;
		case "pool":
			pool.acquire();
			try {
				inTurn(number);
			} finally {
				pool.release();
			}
			break;
		case "fresh":
			inTurn(number, "127.0.0.1", true);
			break;
		case "names":
			inTurn(number, "localhost", false);
			break;
		case "gather":
			List<Future<?>> all = new ArrayList<>();
			for (int n = 0; n < 3; n++)
				all.add(byWorker(number, n));
			for (Future<?> f : all)
				f.get();
			break;
		case "lost":
			for (int n = 0; n < 2; n++)
				byWorker(number, n).get();
			break;
		default:
			throw new IllegalArgumentException(shape);
		}
	}

	// By the thread that read it.
	static void answer(Call call) throws Exception {
		String[] part = call.path().split("/");
		String shape = part[1], number = part[3];
		switch (shape) {
		case "after":
			call.send();
			inTurn(number);
			break;
		case "async":
		case "shared":
			call.later(loud(() -> {
				inTurn(number);
				call.send();
			}), shape.equals("shared"));
			break;
		default:
			shape(shape, number);
			call.send();
		}
	}

	static Runnable loud(Job job) {
		return () -> {
			try {
				job.run();
			} catch (Exception e) {
				e.printStackTrace();
			}
		};
	}

	// A job that belongs to no request: of a thread of its own, and of the server's.
	static void begin(Executor own) {
		if (System.getenv("BACKGROUND") == null)
			return;
		Runnable job = loud(() -> client.get("http://127.0.0.1:" + UPSTREAM + "/background", false));
		ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(r -> {
			Thread t = new Thread(r);
			t.setDaemon(true);
			return t;
		});
		timer.scheduleWithFixedDelay(job, 5, 5, TimeUnit.MILLISECONDS);
		if (own != null)
			timer.scheduleWithFixedDelay(() -> own.execute(job), 5, 10, TimeUnit.MILLISECONDS);
	}
}
