// SPDX-License-Identifier: Apache-2.0
// test.Echo by grpc++, either side: grpc_peer serve PORT, or grpc_peer call PORT THREADS CALLS
// SIZE. The caller makes unary calls in threads, and then one of each other kind; it ends with 0
// when all of them did as they should.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "echo.grpc.pb.h"

using grpc::ServerContext;
using grpc::Status;
using test::Body;

namespace
{

class Echo final : public test::Echo::Service
{
	Status Unary(ServerContext *context, const Body *in, Body *out) override
	{
		context->AddTrailingMetadata("x-last", "2");
		*out = *in;
		return Status::OK;
	}

	Status Fail(ServerContext *, const Body *, Body *) override
	{
		return { grpc::StatusCode::DATA_LOSS, "so it is" };
	}

	Status Slow(ServerContext *context, const Body *, Body *) override
	{
		for (int i = 0; i < 2000 && !context->IsCancelled(); i++)
			std::this_thread::sleep_for(std::chrono::milliseconds(10));
		return Status::CANCELLED;
	}

	Status ServerStream(ServerContext *, const Body *in, grpc::ServerWriter<Body> *out) override
	{
		for (int i = 0; i < 20; i++)
			out->Write(*in);
		return Status::OK;
	}

	Status ClientStream(ServerContext *, grpc::ServerReader<Body> *in, Body *out) override
	{
		Body part;

		while (in->Read(&part))
			out->mutable_data()->append(part.data());
		return Status::OK;
	}

	Status Bidi(ServerContext *, grpc::ServerReaderWriter<Body, Body> *both) override
	{
		Body part;

		while (both->Read(&part))
			both->Write(part);
		return Status::OK;
	}
};

int serve(const std::string &where)
{
	Echo echo;
	grpc::ServerBuilder builder;

	builder.AddListeningPort(where, grpc::InsecureServerCredentials());
	builder.RegisterService(&echo);
	builder.SetMaxReceiveMessageSize(-1);
	std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
	if (!server)
		return 1;
	server->Wait();
	return 0;
}

void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "not so: %s\n", what);
	exit(1);
}

Body body_of(size_t size, int seed)
{
	Body b;

	for (size_t n = 0; n < size; n++)
		b.mutable_data()->push_back(static_cast<char>(n * 31 + seed));
	return b;
}

void calls(test::Echo::Stub *stub, int thread, int n, size_t size)
{
	for (int i = 0; i < n; i++) {
		grpc::ClientContext context;
		Body in = body_of(size * (i % 7) / 6, thread * 97 + i), out;

		context.AddMetadata("x-id", std::to_string(thread * n + i));
		must(stub->Unary(&context, in, &out).ok(), "a call is answered");
		must(in.data() == out.data(), "what comes back is what went");
	}
}

void streams(test::Echo::Stub *stub, size_t size)
{
	grpc::ClientContext up, down, both;
	Body in = body_of(size, 5), out;
	auto writer = stub->ClientStream(&up, &out);

	for (int i = 0; i < 20; i++)
		must(writer->Write(in), "a part goes up");
	writer->WritesDone();
	must(writer->Finish().ok() && out.data().size() == 20 * size, "all of it went up");
	auto reader = stub->ServerStream(&down, in);
	int n = 0;
	while (reader->Read(&out))
		n += out.data() == in.data();
	must(reader->Finish().ok() && n == 20, "all of it came down");
	auto stream = stub->Bidi(&both);
	for (int i = 0; i < 20; i++)
		must(stream->Write(in) && stream->Read(&out) && out.data() == in.data(),
		     "it comes back");
	stream->WritesDone();
	must(stream->Finish().ok(), "both ways end well");
}

void failures(test::Echo::Stub *stub)
{
	grpc::ClientContext failing, slow;
	Body in, out;
	Status status = stub->Fail(&failing, in, &out);

	must(status.error_code() == grpc::StatusCode::DATA_LOSS &&
		     status.error_message() == "so it is",
	     "the failure arrives");
	slow.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
	must(stub->Slow(&slow, in, &out).error_code() == grpc::StatusCode::DEADLINE_EXCEEDED,
	     "the deadline ends it");
}

int call(const std::string &where, int threads, int n, size_t size)
{
	auto stub =
		test::Echo::NewStub(grpc::CreateChannel(where, grpc::InsecureChannelCredentials()));
	std::vector<std::thread> running;

	for (int i = 0; i < threads; i++)
		running.emplace_back(calls, stub.get(), i, n, size);
	for (std::thread &t : running)
		t.join();
	streams(stub.get(), size);
	failures(stub.get());
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	std::string where = std::string("127.0.0.1:") + argv[2];

	if (argv[1] == std::string("serve"))
		return serve(where);
	if (argc < 6)
		return 2;
	return call(where, atoi(argv[3]), atoi(argv[4]), strtoul(argv[5], nullptr, 10));
}
