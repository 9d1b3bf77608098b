// SPDX-License-Identifier: Apache-2.0
// HTTP in on a thread a connection, gRPC out by grpc++: grpc_gateway PORT UPSTREAM. /r/<id> calls
// test.Echo/Unary with x-id: <id>; /own/r/<id> does so with a traceparent of its own, /stream/r/<id>
// calls ClientStream, whose metadata leaves alone, /later/r/<id> by a call that is made first and
// started then.
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.grpc.pb.h"

using test::Body;

namespace
{

std::unique_ptr<test::Echo::Stub> stub;

bool later(grpc::ClientContext *context, const Body &in, Body *out)
{
	grpc::CompletionQueue queue;
	grpc::Status status;
	bool ok = false;
	void *tag = nullptr;
	auto call = stub->PrepareAsyncUnary(context, in, &queue);

	call->StartCall();
	call->Finish(out, &status, &status);
	return queue.Next(&tag, &ok) && ok && tag == &status && status.ok();
}

bool streamed(grpc::ClientContext *context, const Body &in, Body *out)
{
	auto writer = stub->ClientStream(context, out);

	return writer->Write(in) && writer->WritesDone() && writer->Finish().ok();
}

bool ask(const std::string &kind, const std::string &number)
{
	grpc::ClientContext context;
	Body in, out;
	bool ok;

	in.set_data("for " + number + std::string(20000, 'x'));
	context.AddMetadata("x-id", number);
	if (kind == "own")
		context.AddMetadata("traceparent",
				    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
	if (kind == "stream")
		ok = streamed(&context, in, &out);
	else if (kind == "later")
		ok = later(&context, in, &out);
	else
		ok = stub->Unary(&context, in, &out).ok();
	return ok && out.data() == in.data();
}

void serve(int fd)
{
	std::string head;
	char part[4096];

	for (;;) {
		size_t end;
		while ((end = head.find("\r\n\r\n")) == std::string::npos) {
			ssize_t n = recv(fd, part, sizeof(part), 0);
			if (n <= 0) {
				close(fd);
				return;
			}
			head.append(part, static_cast<size_t>(n));
		}
		size_t from = head.find('/') + 1, to = head.find(' ', from);
		size_t slash = head.rfind('/', to);
		bool ok = ask(head.substr(from, head.find('/', from) - from),
			      head.substr(slash + 1, to - slash - 1));
		const char *answer = ok ? "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
					: "HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n";
		send(fd, answer, strlen(answer), MSG_NOSIGNAL);
		head.erase(0, end + 4);
	}
}

} // namespace

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	stub = test::Echo::NewStub(grpc::CreateChannel(std::string("127.0.0.1:") + argv[2],
						       grpc::InsecureChannelCredentials()));
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	sockaddr_in a = {};

	signal(SIGTERM, [](int) { exit(0); });
	a.sin_family = AF_INET;
	a.sin_port = htons(static_cast<uint16_t>(atoi(argv[1])));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, reinterpret_cast<sockaddr *>(&a), sizeof(a)) || listen(listener, 256))
		return 1;
	for (;;) {
		int fd = accept(listener, nullptr, nullptr);
		if (fd >= 0)
			std::thread(serve, fd).detach();
	}
}
