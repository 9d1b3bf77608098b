# SPDX-License-Identifier: Apache-2.0
"""The JVM: compiling, serving and asking, threads by the hundred, jshell. The same bare and traced; see programs.py."""
import re

import pytest

SERVER = r"""
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Both {
	public static void main(String[] args) throws Exception {
		HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
		Thread.setDefaultUncaughtExceptionHandler((t, e) -> { e.printStackTrace(); Runtime.getRuntime().halt(8); });
		server.createContext("/", e -> {
			e.getRequestBody().readAllBytes();      // what is not read makes it reset the connection
			byte[] body = ("you asked " + e.getRequestURI() + " " + e.getRequestHeaders().containsKey("X-Kept")).getBytes();
			e.sendResponseHeaders(200, body.length);
			e.getResponseBody().write(body);
			e.close();
		});
		ExecutorService served = Executors.newFixedThreadPool(4);
		server.setExecutor(served);
		server.start();
		HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
		String at = "http://127.0.0.1:" + server.getAddress().getPort();
		var asked = IntStream.range(0, 20).mapToObj(i -> client.sendAsync(
			HttpRequest.newBuilder(URI.create(at + "/n/" + i)).header("X-Kept", "1").build(),
			HttpResponse.BodyHandlers.ofString())).collect(Collectors.toList());
		for (var a : asked) System.out.println(a.get().statusCode() + " " + a.get().body());
		HttpResponse<String> posted = client.send(HttpRequest.newBuilder(URI.create(at + "/post"))
			.POST(HttpRequest.BodyPublishers.ofString("x".repeat(100000))).build(), HttpResponse.BodyHandlers.ofString());
		System.out.println(posted.body());
		var old = (java.net.HttpURLConnection)new java.net.URL(at + "/old").openConnection();
		System.out.println(new String(old.getInputStream().readAllBytes()));
		server.stop(0);
		served.shutdown();

		LongAdderOfThreads();
		Process p = new ProcessBuilder("sh", "-c", "cat; exit 3").redirectErrorStream(true).start();
		p.getOutputStream().write("through cat\n".getBytes());
		p.getOutputStream().close();
		System.out.print(new String(p.getInputStream().readAllBytes()));
		System.out.println(p.waitFor());
		Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
		System.exit(7);
	}

	static void LongAdderOfThreads() throws Exception {
		var sum = new java.util.concurrent.atomic.LongAdder();
		Thread[] all = new Thread[300];
		for (int i = 0; i < all.length; i++) (all[i] = new Thread(() -> { for (int n = 0; n < 1000; n++) sum.increment(); })).start();
		for (Thread t : all) t.join();
		System.out.println(sum);
		try { deep(0); } catch (StackOverflowError e) { System.out.println("overflow"); }
		try { Object o = null; o.hashCode(); } catch (NullPointerException e) { System.out.println("null"); }
		for (int i = 0; i < 50; i++) { byte[] b = new byte[1 << 20]; }
		System.gc();
	}

	static int deep(int n) { return deep(n + 1) + 1; }
}
"""
SMALL = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]


def test_java_compiles_serves_asks_and_is_traced(kit):
    def job(side):
        side.write("Both.java", SERVER)
        compiled = side.run("javac", *(f"-J{w}" for w in SMALL), "Both.java")
        done = side.run("java", *SMALL, "Both")
        if side.traced:     # both sides of each
            assert len(side.spans(42, http_request_method="GET")) == 42
            assert len(side.spans(2, http_request_method="POST")) == 2
        return compiled, done, [f for f in side.files() if f.endswith(".class")]
    assert kit.same(job)[1].status == 7


def test_java_at_rest_holds_what_it_held(kit):
    """Nothing of ours is in a JVM that speaks no HTTP."""
    def job(side):
        side.write("Rest.java", """public class Rest { public static void main(String[] a) throws Exception {
			var l = new java.net.ServerSocket(0); var c = new java.net.Socket("127.0.0.1", l.getLocalPort());
			var s = l.accept(); c.getOutputStream().write(1); System.out.println("read " + s.getInputStream().read());
			new java.util.concurrent.CountDownLatch(1).await(); } }""")
        p = side.start("java", *SMALL, "Rest.java").wait_log("read 1", 60)
        found = side.look_whole(side.program(p))
        return [re.sub(r"#?\d+$", "", t) for t in found["threads"] if "Compiler" not in t and "C1" not in t], \
            sorted(set(found["descriptors"].values()))
    assert "java" in kit.same(job)[0]


SCRIPT = """int x = 6 * 7
String s = "a" + x
s.repeat(2)
int f(int n) { return n < 2 ? n : f(n - 1) + f(n - 2); }
f(20)
1 / 0
System.out.println("printed " + f(20))
/exit
"""


def test_jshell(kit):
    def job(side):
        done = side.run("jshell", "--feedback", "normal", *(f"-J{w}" for w in SMALL), *(f"-R{w}" for w in SMALL), "-",
                        input=SCRIPT)
        done.err = re.sub(r".*FileSystemPreferences.*\n|INFO: Created user preferences.*\n", "", done.err)
        return done
    assert "printed 6765" in kit.same(job).out
