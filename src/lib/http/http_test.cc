#include <gtest/gtest.h>

#include "lib/http/args.h"
#include "lib/http/client.h"
#include "lib/http/server.h"
#include "lib/net/run_on.h"
#include "lib/net/stream.h"

namespace vm::http {
namespace {

using namespace std::chrono_literals;

TEST(ArgsTest, DecodesLeniently) {
  const Args args =
      ParseQuery("match[]={__name__=\"up\"}&match[]=a%7Bb%3D%22c%22%7D&x=1+2&bad=%zz&y&z=a;b&=e&t=%2B");
  const auto matches = args.GetAll("match[]");
  ASSERT_EQ(matches.size(), 2u);
  EXPECT_EQ(matches[0], "{__name__=\"up\"}");
  EXPECT_EQ(matches[1], "a{b=\"c\"}");
  EXPECT_EQ(args.Get("x"), "1 2");
  EXPECT_FALSE(args.Has("bad"));
  EXPECT_TRUE(args.Has("y"));
  EXPECT_FALSE(args.Has("z"));
  EXPECT_EQ(args.Get("t"), "+");
  EXPECT_EQ(EscapeQuery("a b/{é}"), "a+b%2F%7B%C3%A9%7D");
}

asio::awaitable<void> Handle(Request& request, Response& response) {
  if (request.path == "/echo") {
    auto body = co_await request.ReadAll(10 << 20);
    if (!body.ok()) {
      co_await WriteError(response, 400, body.error().message());
      co_return;
    }
    std::string text(AsText(body.value()));
    co_await WriteText(response, 200, "text/plain", std::move(text));
  } else if (request.path == "/arg") {
    auto form = co_await request.ReadForm();
    std::string text = form.ok() ? std::string(request.query.Get("match[]")) : "broken form";
    co_await WriteText(response, 200, "text/plain", std::move(text));
  } else if (request.path == "/big") {
    const std::string piece(50'000, 'x');
    for (int i = 0; i < 10; ++i) {
      auto status = co_await response.Write(piece);
      if (!status.ok()) co_return;
    }
  } else if (request.path == "/empty") {
    response.SetStatus(204);
  } else {
    co_await WriteError(response, 404, "not here");
  }
}

class HttpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Server::Options options;
    options.disable_server_hostname = true;
    auto server = Server::Start(runtime_, options, Handle);
    ASSERT_TRUE(server.ok());
    server_ = std::move(server).value();
  }

  ClientResponse Ask(std::string method, std::string target, std::string body = "",
                     Headers headers = {}) {
    auto result = net::BlockOn(
        runtime_.MakeStrand(),
        Fetch(std::move(method), "http://" + server_->addr() + target, headers, body, 5s));
    EXPECT_TRUE(result.ok()) << result.error().message();
    return result.ok() ? std::move(result).value() : ClientResponse();
  }

  /// Send `pieces` on one connection and return all that comes until the server closes.
  static asio::awaitable<std::string> Raw(std::string addr, std::vector<std::string> pieces) {
    net::DialOptions options;
    auto dialed = co_await net::Dial(std::move(addr), options);
    if (!dialed.ok()) co_return dialed.error().message();
    net::Stream& stream = *dialed.value();
    stream.SetDeadline(Deadline::After(5s));
    for (const auto& piece : pieces) {
      auto status = co_await stream.Write(AsBytes(piece));
      if (!status.ok()) co_return status.error().message();
    }
    std::string out;
    ByteBuffer buffer(4096);
    for (;;) {
      auto n = co_await stream.Read(buffer);
      if (!n.ok()) co_return out + n.error().message();
      if (n.value() == 0) co_return out;
      out += AsText(ByteView(buffer).first(n.value()));
    }
  }
  std::string AskRaw(std::vector<std::string> pieces) {
    return net::BlockOn(runtime_.MakeStrand(), Raw(server_->addr(), std::move(pieces)));
  }

  net::Runtime runtime_{2};
  std::unique_ptr<Server> server_;
};

TEST_F(HttpTest, AnswersErrorsAsText) {
  const auto response = Ask("GET", "/nowhere");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "not here\n");
  EXPECT_EQ(response.headers.Get("content-type"), "text/plain; charset=utf-8");
}

TEST_F(HttpTest, EchoesABody) {
  const std::string body(1'000'000, 'b');
  EXPECT_EQ(Ask("POST", "/echo", body).body, body);
}

TEST_F(HttpTest, SendsBigAnswersInChunks) {
  const auto response = Ask("GET", "/big");
  EXPECT_EQ(response.body.size(), 500'000u);
  EXPECT_EQ(response.headers.Get("Transfer-Encoding"), "chunked");
}

TEST_F(HttpTest, KeepsTheConnectionAndReadsPipelinedRequests) {
  EXPECT_EQ(AskRaw({"GET /empty HTTP/1.1\r\nHost: x\r\n\r\nGET /arg?match[]={a=\"b\"} "
                    "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"}),
            "HTTP/1.1 204 No Content\r\n\r\n"
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n"
            "Connection: close\r\n\r\n{a=\"b\"}");
}

TEST_F(HttpTest, ReadsChunkedBodies) {
  const std::string answer =
      AskRaw({"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: "
              "close\r\n\r\n3\r\nabc\r\n",
              "4;x=y\r\ndefg\r\n0\r\n\r\n"});
  EXPECT_TRUE(answer.ends_with("\r\n\r\nabcdefg")) << answer;
}

TEST_F(HttpTest, AnswersExpectContinue) {
  const std::string answer =
      AskRaw({"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
              "Connection: close\r\n\r\n",
              "abc"});
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nabc")) << answer;
}

TEST_F(HttpTest, SkipsABodyNobodyRead) {
  const std::string answer =
      AskRaw({"POST /empty HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
              "GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"});
  EXPECT_EQ(answer,
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
}

TEST_F(HttpTest, FormArgumentsComeFirst) {
  Headers headers;
  headers.Add("Content-Type", "application/x-www-form-urlencoded");
  EXPECT_EQ(Ask("POST", "/arg?match[]=url", "match%5B%5D=form", headers).body, "form");
  EXPECT_EQ(Ask("POST", "/arg?match[]=url", "match%5B%5D=form").body, "url");
}

TEST_F(HttpTest, RefusesWhatIsNotHttp) {
  EXPECT_TRUE(AskRaw({"hello\r\n\r\n"}).starts_with("HTTP/1.1 400 Bad Request\r\n"));
}

TEST_F(HttpTest, StopClosesIdleConnections) {
  server_->Stop(1s);
}

}  // namespace
}  // namespace vm::http
