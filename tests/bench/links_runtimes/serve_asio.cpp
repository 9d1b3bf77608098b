// SPDX-License-Identifier: Apache-2.0
// Boost.Asio and Beast, server and client: two or three requests /out/ID/N for each /SHAPE/r/ID, as
// links_services/ask.py. It knows nothing of tracing.
//	serve_asio PORT sync|mixed|async THREADS (UPSTREAM and BACKGROUND in the environment)
// sync: a thread for each connection. async: a loop on so many threads, no thread waits for an answer.
// mixed: the same loop, whose handlers do wait for the answers of what they ask.
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;
using boost::system::error_code;

static const unsigned short upstream = std::atoi(std::getenv("UPSTREAM"));
static asio::io_context loop;
static asio::thread_pool workers(8);

struct Job {
	std::string shape, id;
	int total;

	explicit Job(const std::string &path)
	{
		auto second = path.find('/', 1);
		shape = path.substr(1, second - 1);
		id = path.substr(path.rfind('/') + 1);
		total = shape == "between" || shape == "gather" ? 3 : 2;
	}

	std::string path(int n) const { return "/out/" + id + "/" + std::to_string(n); }
};

static std::chrono::milliseconds some()
{
	thread_local std::minstd_rand random(std::random_device{}());
	return std::chrono::milliseconds(random() % 10);
}

static tcp::endpoint where(bool by_name)
{
	if (!by_name)
		return { asio::ip::address_v4::loopback(), upstream };
	tcp::resolver resolver(loop);
	return *resolver.resolve(tcp::v4(), "localhost", std::to_string(upstream)).begin();
}

static Request request(const std::string &path)
{
	Request r(http::verb::get, path, 11);
	r.set(http::field::host, "up");
	r.keep_alive(false);
	return r;
}

static Response ok()
{
	Response r(http::status::ok, 11);
	r.body() = "ok\n";
	r.prepare_payload();
	return r;
}

// ---- a thread that waits ----

static void ask(const std::string &path, bool by_name = false)
{
	asio::io_context own;
	tcp::socket s(own);
	beast::flat_buffer buffer;
	Response answer;

	s.connect(where(by_name));
	http::write(s, request(path));
	http::read(s, buffer, answer);
}

static void work(const Job &job)
{
	std::vector<std::thread> threads;

	if (job.shape == "before")
		std::this_thread::sleep_for(some());
	for (int n = 0; n < job.total; n++) {
		if (job.shape == "gather")
			threads.emplace_back([&job, n] { ask(job.path(n)); });
		else
			ask(job.path(n), job.shape == "names");
		if (job.shape == "between")
			std::this_thread::sleep_for(some());
	}
	for (auto &t : threads)
		t.join();
}

static void serve(tcp::socket s)
{
	beast::flat_buffer buffer;
	error_code failed;

	for (;;) {
		Request in;
		http::read(s, buffer, in, failed);
		if (failed)
			return;
		Job job(std::string(in.target()));
		if (job.shape == "after")
			http::write(s, ok());
		work(job);
		if (job.shape != "after")
			http::write(s, ok());
	}
}

// ---- no thread that waits ----

struct Asking : std::enable_shared_from_this<Asking> {
	beast::tcp_stream stream{ loop };
	beast::flat_buffer buffer;
	Request out;
	Response answer;
	std::function<void()> then;

	void start(const std::string &path, bool by_name, std::function<void()> then_)
	{
		auto self = shared_from_this();
		out = request(path);
		then = std::move(then_);
		stream.async_connect(where(by_name), [self](error_code) {
			http::async_write(self->stream, self->out, [self](error_code, size_t) {
				http::async_read(self->stream, self->buffer, self->answer,
						 [self](error_code failed, size_t) {
							 if (failed)
								 std::abort();
							 self->then();
						 });
			});
		});
	}
};

struct Session : std::enable_shared_from_this<Session> {
	beast::tcp_stream stream;
	beast::flat_buffer buffer;
	Request in;
	Response out;
	asio::steady_timer timer{ loop };
	bool waits;

	Session(tcp::socket s, bool waits) : stream(std::move(s)), waits(waits) {}

	void read()
	{
		auto self = shared_from_this();
		in = {};
		http::async_read(stream, buffer, in, [self](error_code failed, size_t) {
			if (!failed)
				self->handle(std::make_shared<Job>(std::string(self->in.target())));
		});
	}

	void write(std::function<void()> then)
	{
		out = ok();
		http::async_write(stream, out, [then](error_code, size_t) { then(); });
	}

	void handle(std::shared_ptr<Job> job)
	{
		auto self = shared_from_this();
		auto again = [self] { self->read(); };
		if (job->shape == "after")
			write([self, job, again] { self->act(job, again); });
		else
			act(job, [self, again] { self->write(again); });
	}

	void act(std::shared_ptr<Job> job, std::function<void()> then)
	{
		auto self = shared_from_this();
		if (job->shape == "lost")
			asio::post(workers, [job, then] { work(*job), asio::post(loop, then); });
		else if (waits)
			work(*job), then();
		else if (job->shape == "gather")
			gather(job, then);
		else if (job->shape == "before")
			later([self, job, then] { self->next(job, 0, then); });
		else
			next(job, 0, then);
	}

	void later(std::function<void()> then)
	{
		timer.expires_after(some());
		timer.async_wait([then](error_code) { then(); });
	}

	void next(std::shared_ptr<Job> job, int n, std::function<void()> then)
	{
		auto self = shared_from_this();
		if (n == job->total)
			return then();
		auto on = [self, job, n, then] { self->next(job, n + 1, then); };
		std::make_shared<Asking>()->start(job->path(n), job->shape == "names", [self, job, on] {
			job->shape == "between" ? self->later(on) : on();
		});
	}

	static void gather(std::shared_ptr<Job> job, std::function<void()> then)
	{
		auto left = std::make_shared<std::atomic<int>>(job->total);
		for (int n = 0; n < job->total; n++)
			std::make_shared<Asking>()->start(job->path(n), false, [left, then] {
				if (!--*left)
					then();
			});
	}
};

static void accept(tcp::acceptor &acceptor, const std::string &how)
{
	acceptor.async_accept([&acceptor, how](error_code failed, tcp::socket s) {
		if (!failed)
			std::make_shared<Session>(std::move(s), how == "mixed")->read();
		accept(acceptor, how);
	});
}

static void background(asio::steady_timer &timer)
{
	timer.expires_after(std::chrono::milliseconds(5));
	timer.async_wait([&timer](error_code) {
		std::make_shared<Asking>()->start("/background", false, [] {});
		background(timer);
	});
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	const std::string how = argv[2];
	tcp::acceptor acceptor(loop, { asio::ip::address_v4::loopback(), (unsigned short)std::atoi(argv[1]) });
	acceptor.listen(1024);
	asio::signal_set ends(loop, SIGTERM);
	ends.async_wait([](error_code, int) { std::_Exit(0); });
	asio::steady_timer timer(loop);
	if (std::getenv("BACKGROUND"))
		background(timer);
	if (how != "sync")
		accept(acceptor, how);
	std::vector<std::thread> threads;
	for (int i = 0; i < std::atoi(argv[3]); i++)
		threads.emplace_back([] { loop.run(); });
	for (; how == "sync";) {
		tcp::socket s = acceptor.accept();
		std::thread(serve, std::move(s)).detach();
	}
	for (auto &t : threads)
		t.join();
}
