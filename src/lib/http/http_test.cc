#include <gtest/gtest.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <zlib.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

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

TEST(ArgsTest, KnowsBase64) {
  for (const auto& [text, encoded] : {std::pair<std::string_view, std::string_view>{"", ""},
                                      {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe\xfd", "//79"}}) {
    EXPECT_EQ(EncodeBase64(text), encoded);
    EXPECT_EQ(DecodeBase64(encoded), text);
  }
  EXPECT_FALSE(DecodeBase64("Zg="));
  EXPECT_FALSE(DecodeBase64("Z-=="));
}

/// Waits until the client of a request is gone, at most 10 s.
asio::awaitable<bool> WaitForGone(std::stop_token token) {
  const auto timer = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, 10s);
  const std::stop_callback wake(token, [timer] {
    asio::post(timer->get_executor(), [timer] { timer->cancel(); });
  });
  if (!token.stop_requested()) co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
  co_return token.stop_requested();
}

std::promise<bool>* gone = nullptr;  // Set by the request for /wait.

asio::awaitable<void> Handle(Request& request, Response& response) {
  if (request.path == "/wait") {
    auto body = co_await request.ReadAll(100);
    const bool is_gone = co_await WaitForGone(request.ClientGone());
    gone->set_value(is_gone && body.ok());
    co_await WriteText(response, 200, "text/plain", "waited");
  } else if (request.path == "/watched") {
    static_cast<void>(request.ClientGone());
    response.EnableCors();
    co_await WriteText(response, 200, "text/plain", "watched");
  } else if (request.path == "/zeros") {
    auto written = co_await response.Write(std::string(2000, '0'));
    EXPECT_TRUE(written.ok());
  } else if (request.path == "/abort") {
    auto written = co_await response.Write(std::string(100'000, 'x'));
    EXPECT_TRUE(written.ok());
    co_await response.Abort("no more");
  } else if (request.path == "/size") {
    co_await WriteText(response, 200, "text/plain", std::to_string(request.target.size()));
  } else if (request.path == "/echo") {
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

/// `answer` without the header field that changes every second.
std::string WithoutDate(std::string answer) {
  for (size_t at = answer.find("Date: "); at != std::string::npos; at = answer.find("Date: ", at)) {
    answer.erase(at, answer.find("\r\n", at) + 2 - at);
  }
  return answer;
}

std::string Gunzip(std::string_view packed) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
  std::string out(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

class HttpTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }
  void Start(Server::Options options) {
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

  metrics::Registry registry_;
  net::Runtime runtime_{2};
  net::Pool pool_{"test", 1};
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

/// Keeps what it gets; refuses after `max_bytes`.
class Keeper : public AnswerSink {
 public:
  asio::awaitable<Status> TakeHeader(int status_in, const Headers& headers) override {
    status = status_in;
    type = headers.Get("Content-Type");
    co_return Ok();
  }
  asio::awaitable<Status> TakeBody(std::string_view piece) override {
    bytes += piece.size();
    biggest = std::max(biggest, piece.size());
    if (bytes > max_bytes) co_return Error(ErrorCode::kLimitExceeded, "enough");
    co_return Ok();
  }
  int status = 0;
  std::string type;
  size_t bytes = 0;
  size_t biggest = 0;
  size_t max_bytes = 1 << 30;
};

TEST_F(HttpTest, GivesAnswersAwayWhileTheyCome) {
  const auto fetch = [&](std::string target, Keeper& keeper) {
    return net::BlockOn(runtime_.MakeStrand(),
                        FetchTo("GET", "http://" + server_->addr() + target, {}, "", Deadline::After(5s), keeper));
  };
  Keeper keeper;
  ASSERT_TRUE(fetch("/big", keeper).ok());
  EXPECT_EQ(keeper.status, 200);
  EXPECT_EQ(keeper.type, "text/plain; charset=utf-8");
  EXPECT_EQ(keeper.bytes, 500'000u);
  EXPECT_LE(keeper.biggest, 64u << 10);
  Keeper refusing;
  refusing.max_bytes = 100'000;
  const auto refused = fetch("/big", refusing);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(), "enough");
  Keeper cut;
  EXPECT_FALSE(fetch("/abort", cut).ok());
  EXPECT_GT(cut.bytes, 100'000u);
  Keeper empty;
  ASSERT_TRUE(fetch("/empty", empty).ok());
  EXPECT_EQ(empty.status, 204);
  EXPECT_EQ(empty.bytes, 0u);
}

TEST_F(HttpTest, KeepsTheConnectionAndReadsPipelinedRequests) {
  EXPECT_EQ(WithoutDate(AskRaw({"GET /empty HTTP/1.1\r\nHost: x\r\n\r\nGET /arg?match[]={a=\"b\"} "
                                "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"})),
            "HTTP/1.1 204 No Content\r\nVary: Accept-Encoding\r\n\r\n"
            "HTTP/1.1 200 OK\r\nVary: Accept-Encoding\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n"
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
  EXPECT_EQ(WithoutDate(answer),
            "HTTP/1.1 204 No Content\r\nVary: Accept-Encoding\r\n\r\n"
            "HTTP/1.1 204 No Content\r\nVary: Accept-Encoding\r\nConnection: close\r\n\r\n");
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

TEST_F(HttpTest, ShowsTheTime) {
  const auto response = Ask("GET", "/empty");
  const std::string date(response.headers.Get("Date"));
  EXPECT_EQ(date.size(), 29u) << date;
  EXPECT_TRUE(date.ends_with(" GMT")) << date;
}

TEST_F(HttpTest, TakesLongUrlsAndBoundsHeaders) {
  EXPECT_EQ(Ask("GET", "/size?x=" + std::string(200'000, 'u')).body, "200008");
  Headers headers;
  headers.Add("X-Long", std::string(60'000, 'h'));
  EXPECT_EQ(Ask("GET", "/size", "", headers).body, "5");
  const std::string too_long = "431 Request Header Fields Too Large";
  EXPECT_TRUE(AskRaw({"GET /size HTTP/1.1\r\nX: " + std::string(70'000, 'h') + "\r\n\r\n"}).ends_with(too_long));
  EXPECT_TRUE(AskRaw({"GET /size?" + std::string((1 << 20) + 1, 'u')}).ends_with(too_long));
}

TEST_F(HttpTest, CompressesWhatTheClientTakes) {
  Headers gzip;
  gzip.Add("Accept-Encoding", "br, gzip;q=0.5");
  auto response = Ask("GET", "/zeros", "", gzip);
  EXPECT_EQ(response.headers.Get("Content-Encoding"), "gzip");
  EXPECT_EQ(response.headers.Get("Vary"), "Accept-Encoding");
  EXPECT_EQ(Gunzip(response.body), std::string(2000, '0'));
  response = Ask("GET", "/big", "", gzip);
  EXPECT_EQ(response.headers.Get("Transfer-Encoding"), "chunked");
  EXPECT_LT(response.body.size(), 10'000u);
  EXPECT_EQ(Gunzip(response.body), std::string(500'000, 'x'));
  EXPECT_EQ(Ask("GET", "/arg?match[]=small", "", gzip).body, "small");
  EXPECT_EQ(Ask("HEAD", "/zeros", "", gzip).headers.Get("Content-Encoding"), "");
  for (const char* other : {"", "br", "gzip;q=0", "gzip; q=0.0", "x-gzip"}) {
    Headers headers;
    headers.Add("Accept-Encoding", other);
    EXPECT_EQ(Ask("GET", "/zeros", "", headers).body, std::string(2000, '0')) << other;
  }
  Server::Options options;
  options.pool = &pool_;
  Start(options);
  EXPECT_EQ(Gunzip(Ask("GET", "/big", "", gzip).body), std::string(500'000, 'x'));
  options.disable_compression = true;
  Start(options);
  response = Ask("GET", "/zeros", "", gzip);
  EXPECT_EQ(response.body, std::string(2000, '0'));
  EXPECT_EQ(response.headers.Get("Vary"), "");
}

TEST_F(HttpTest, BreaksStartedAnswersVisibly) {
  const std::string answer = AskRaw({"GET /abort HTTP/1.1\r\nHost: x\r\n\r\n"});
  EXPECT_NE(answer.find("\nno more\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\nthe connection has been aborted; see the last line in the response and/or in the "
                               "server log for the reason\n"));
  const std::string packed = AskRaw({"GET /abort HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"});
  EXPECT_EQ(packed.find("\r\n0\r\n\r\n"), std::string::npos);
  EXPECT_NE(packed.find("the connection has been aborted"), std::string::npos);
}

/// Sends a request and closes without waiting for the answer.
asio::awaitable<bool> AskAndLeave(std::string addr, std::string request) {
  auto dialed = co_await net::Dial(std::move(addr), net::DialOptions());
  if (!dialed.ok()) co_return false;
  auto written = co_await dialed.value()->Write(AsBytes(request));
  co_return written.ok();
}

TEST_F(HttpTest, TellsWhenTheClientIsGone) {
  for (const char* request : {"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n",
                              "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"}) {
    std::promise<bool> seen;
    gone = &seen;
    EXPECT_TRUE(net::BlockOn(runtime_.MakeStrand(), AskAndLeave(server_->addr(), request)));
    EXPECT_TRUE(seen.get_future().get());
  }
}

TEST_F(HttpTest, WatchingKeepsTheNextRequest) {
  std::string one = "GET /watched HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string last = "GET /watched HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  std::string answer = AskRaw({one, last});
  EXPECT_TRUE(answer.ends_with("\r\n\r\nwatched"));
  EXPECT_NE(answer.find("watchedHTTP/1.1 200 OK\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Access-Control-Allow-Origin: *\r\n"), std::string::npos) << answer;
  answer = AskRaw({one + one + last});
  EXPECT_EQ(answer.find("watchedHTTP/1.1 200 OK\r\n"), answer.rfind("watchedHTTP/1.1 200 OK\r\n", answer.size() - 300));
}

/// Sends a request, and again when its answer is there. The number of answers.
asio::awaitable<int> AskInTurn(std::string addr, std::string request, std::string end, int times) {
  auto dialed = co_await net::Dial(std::move(addr), net::DialOptions());
  if (!dialed.ok()) co_return -1;
  net::Stream& stream = *dialed.value();
  stream.SetDeadline(Deadline::After(10s));
  for (int answered = 0; answered < times; ++answered) {
    auto written = co_await stream.Write(AsBytes(request));
    if (!written.ok()) co_return answered;
    std::string answer;
    ByteBuffer buffer(4096);
    while (!answer.ends_with(end)) {
      auto n = co_await stream.Read(buffer);
      if (!n.ok() || n.value() == 0) co_return answered;
      answer += AsText(ByteView(buffer).first(n.value()));
    }
    if (!answer.starts_with("HTTP/1.1 200 OK")) co_return answered;
    co_await net::SleepFor(2ms);
  }
  co_return times;
}

TEST_F(HttpTest, AWatchedConnectionServesWhatComesLater) {
  EXPECT_EQ(net::BlockOn(runtime_.MakeStrand(), AskInTurn(server_->addr(), "GET /watched HTTP/1.1\r\nHost: x\r\n\r\n", "watched", 20)), 20);
}

TEST_F(HttpTest, StopTellsRunningRequestsToEnd) {
  std::promise<bool> seen;
  gone = &seen;
  std::promise<ClientResponse> answered;
  std::thread client([&] { answered.set_value(Ask("GET", "/wait")); });
  while (server_->running_requests() == 0) std::this_thread::sleep_for(1ms);
  server_->Stop(500ms);
  EXPECT_TRUE(seen.get_future().get());
  client.join();
  EXPECT_EQ(answered.get_future().get().body, "waited");
}

TEST_F(HttpTest, ClosesOldConnectionsAndSlowClients) {
  Server::Options options;
  options.metrics = &registry_;
  options.max_conn_age = 1ms;
  options.header_timeout = 50ms;
  Start(options);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n";
  // A connection that is closed with requests unread may be reset, and then the client misses the end of the answer.
  std::string answer;
  int asked = 0;
  for (; asked < 50 && answer.find("Connection: close\r\n") == std::string::npos; ++asked) answer = AskRaw({many});
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  EXPECT_LT(answer.size(), 2000u * 60);
  // Half of a header, then silence: closed without an answer.
  EXPECT_EQ(AskRaw({"GET /empty HTTP/1.1\r\nHost:"}), "");
  EXPECT_EQ(AskRaw({}), "");
  server_->Stop(1s);
  std::string text;
  registry_.Write(text);
  const std::string accepts = std::to_string(asked + 2);
  EXPECT_NE(text.find("vm_tcplistener_accepts_total{name=\"http\", addr=\"127.0.0.1:0\"} " + accepts + "\n"), std::string::npos) << text;
  EXPECT_NE(text.find("vm_tcplistener_conns{name=\"http\", addr=\"127.0.0.1:0\"} 0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("vm_http_conn_timeout_closed_conns_total " + std::to_string(asked) + "\n"), std::string::npos) << text;
}

TEST_F(HttpTest, BoundsChunkHeaders) {
  const std::string answer = AskRaw({"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                                     "3;x=" + std::string(2 << 20, 'x')});
  EXPECT_NE(answer.find("cannot read request body"), std::string::npos) << answer.substr(0, 300);
}

TEST_F(HttpTest, StopClosesIdleConnections) {
  server_->Stop(1s);
}

TEST(DescribeRequestTest, QuotesAddressesAndHidesKeys) {
  class Plain : public Request {
    asio::awaitable<Result<size_t>> ReadBody(std::span<uint8_t>) override { co_return size_t{0}; }
  } request;
  request.remote_addr = "1.2.3.4:5";
  request.target = "/x?authKey=abc&y=1&authKey=d";
  EXPECT_EQ(DescribeRequest(request), "remoteAddr: \"1.2.3.4:5\"; requestURI: /x?authKey=secret&y=1&authKey=secret");
  request.headers.Add("X-Forwarded-For", "\"e\n");
  EXPECT_EQ(DescribeRequest(request),
            "remoteAddr: \"1.2.3.4:5, X-Forwarded-For: \\\"e\\u000a\"; requestURI: "
            "/x?authKey=secret&y=1&authKey=secret");
}

/// A key and a certificate for 127.0.0.1 signed by itself.
class TlsTest : public HttpTest {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("vm_tls_test." + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    WriteFiles();
    TlsOptions options;
    options.cert_file = folder_ / "cert.pem";
    options.key_file = folder_ / "key.pem";
    auto context = TlsContext::ForServer(options);
    ASSERT_TRUE(context.ok()) << context.error().message();
    Server::Options server;
    server.tls = std::move(context).value();
    server.pool = &pool_;
    server.header_timeout = 5s;
    Start(server);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void WriteFiles() {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_sign(cert, key, EVP_sha256());
    FILE* file = fopen((folder_ / "cert.pem").c_str(), "w");
    PEM_write_X509(file, cert);
    fclose(file);
    file = fopen((folder_ / "key.pem").c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
  }

  /// Dials, shakes hands without asking who it is, and exchanges one request.
  static asio::awaitable<std::string> AskSecure(std::string addr, std::string request) {
    auto dialed = co_await net::Dial(std::move(addr), net::DialOptions());
    if (!dialed.ok()) co_return dialed.error().message();
    dialed.value()->SetDeadline(Deadline::After(5s));
    auto stream = co_await TlsContext::ForClient(false)->Connect(std::move(dialed).value(), "127.0.0.1");
    if (!stream.ok()) co_return stream.error().message();
    auto written = co_await stream.value()->Write(AsBytes(request));
    if (!written.ok()) co_return written.error().message();
    std::string out;
    ByteBuffer buffer(4096);
    for (;;) {
      auto n = co_await stream.value()->Read(buffer);
      if (!n.ok()) co_return out + n.error().message();
      if (n.value() == 0) co_return out;
      out += AsText(ByteView(buffer).first(n.value()));
    }
  }

  std::filesystem::path folder_;
};

TEST_F(TlsTest, ServesOverTls) {
  const std::string body(300'000, 'b');
  const std::string answer = net::BlockOn(
      runtime_.MakeStrand(), AskSecure(server_->addr(), "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                                        "Content-Length: 300000\r\n\r\n" + body));
  EXPECT_NE(answer.find("\r\n" + body + "\r\n0\r\n\r\n"), std::string::npos) << answer.substr(0, 300);
  std::promise<bool> seen;
  gone = &seen;
  // A client that trusts only known authorities refuses.
  auto refused = net::BlockOn(runtime_.MakeStrand(), Fetch("GET", "https://" + server_->addr() + "/empty", {}, "", 5s));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("TLS handshake error"), std::string::npos) << refused.error().message();
  // Plain text on a TLS port gets no answer in plain text, and the server lives on.
  EXPECT_EQ(AskRaw({"GET /empty HTTP/1.1\r\nHost: x\r\n\r\n"}).find("HTTP/1.1 2"), std::string::npos);
  EXPECT_NE(net::BlockOn(runtime_.MakeStrand(),
                         AskSecure(server_->addr(), "GET /empty HTTP/1.0\r\n\r\n")).find("204 No Content"),
            std::string::npos);
}

TEST_F(TlsTest, ReadsChangedFilesAndKeepsOldKeysWhenTheyAreBroken) {
  TlsOptions options;
  options.cert_file = folder_ / "cert.pem";
  options.key_file = folder_ / "key.pem";
  auto context = TlsContext::ForServer(options);
  ASSERT_TRUE(context.ok());
  std::ofstream(folder_ / "cert.pem") << "broken";
  EXPECT_FALSE(context.value()->Refresh().ok());
  EXPECT_TRUE(context.value()->Refresh().ok());  // Not looked at again within a second.
  EXPECT_FALSE(TlsContext::ForServer(options).ok());
  WriteFiles();
  EXPECT_TRUE(TlsContext::ForServer(options).ok());
  options.min_version = "TLS14";
  EXPECT_EQ(TlsContext::ForServer(options).error().message(), "unsupported minimum TLS version: \"TLS14\"");
  options.min_version = "TLS13";
  options.cipher_suites = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"};
  EXPECT_TRUE(TlsContext::ForServer(options).ok());
  options.cipher_suites = {"NONE"};
  EXPECT_FALSE(TlsContext::ForServer(options).ok());
}

/// Puts what ReadResponse makes of `answer` into `result`.
net::asio::awaitable<void> ReadInto(net::asio::any_io_executor strand, std::string answer,
                                    Result<ClientResponse>& result) {
  auto ends = net::MakePipe(strand);
  auto sent = co_await ends.first->Write(AsBytes(answer));
  EXPECT_TRUE(sent.ok());
  ends.first->Close();
  result = co_await ReadResponse(*ends.second, "GET", "http://h/");
}

TEST(HttpClientTest, RefusesAnswersWithFieldsThatAreTooLong) {
  const std::string long_value(70'000, 'x');
  for (const std::string& answer : {"HTTP/1.1 200 OK\r\nA: " + long_value + "\r\nContent-Length: 0\r\n\r\n",
                                    "HTTP/1.1 200 OK\r\n" + long_value + ": b\r\nContent-Length: 0\r\n\r\n"}) {
    net::asio::io_context context;
    Result<ClientResponse> result = Error(ErrorCode::kCancelled, "not run");
    net::asio::co_spawn(context, ReadInto(net::asio::make_strand(context), answer, result), [](std::exception_ptr failure) {
      EXPECT_FALSE(failure) << "an exception left the coroutine";
    });
    context.run();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code(), ErrorCode::kUnavailable);
    EXPECT_NE(result.error().message().find("header limit"), std::string::npos) << result.error().message();
  }
}

}  // namespace
}  // namespace vm::http
