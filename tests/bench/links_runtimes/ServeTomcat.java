// SPDX-License-Identifier: Apache-2.0
// Tomcat 10. Arguments: port, a folder for its use, the connector (Http11NioProtocol, Http11Nio2Protocol).
import jakarta.servlet.AsyncContext;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;

final class ServeTomcat {
	public static void main(String[] args) throws Exception {
		Tomcat tomcat = new Tomcat();
		tomcat.setBaseDir(args[1]);
		Connector connector = new Connector("org.apache.coyote.http11." + args[2]);
		connector.setPort(Integer.parseInt(args[0]));
		connector.setProperty("address", "127.0.0.1");
		connector.setProperty("acceptCount", "1024");
		connector.setProperty("maxThreads", "160");
		tomcat.setConnector(connector);
		Context context = tomcat.addContext("", args[1]);
		Tomcat.addServlet(context, "all", new Servlet()).setAsyncSupported(true);
		context.addServletMappingDecoded("/", "all");
		tomcat.start();
		Ask.begin(connector.getProtocolHandler().getExecutor());
		tomcat.getServer().await();
	}

	static final class Servlet extends HttpServlet {
		@Override
		protected void doGet(HttpServletRequest in, HttpServletResponse out) throws ServletException {
			try {
				Ask.answer(call(in, out));
			} catch (Exception e) {
				throw new ServletException(e);
			}
		}
	}

	private static Ask.Call call(HttpServletRequest in, HttpServletResponse out) {
		return new Ask.Call() {
			private final String path = in.getRequestURI();
			private AsyncContext later;

			public String path() {
				return path;
			}

			public void send() throws IOException {
				out.setContentLength(3);
				out.getOutputStream().write("ok\n".getBytes());
				out.flushBuffer();
				if (later != null)
					later.complete();
			}

			public void later(Runnable job, boolean shared) {
				later = in.startAsync();
				later.setTimeout(0);
				if (shared)
					later.start(job);
				else
					Ask.workers.execute(job);
			}
		};
	}
}
