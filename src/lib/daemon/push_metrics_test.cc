#include "lib/daemon/push_metrics.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <condition_variable>
#include <mutex>

#include "lib/http/server.h"

namespace vm::daemon {
namespace {

using namespace std::chrono_literals;

TEST(AddPushLabelsTest, PutsThemFirst) {
  EXPECT_EQ(AddPushLabels("# TYPE a gauge\na 1\n\nb{x=\"y z\"} 2.5\n", "job=\"j\",n=\"v\""),
            "# TYPE a gauge\na{job=\"j\",n=\"v\"} 1\nb{job=\"j\",n=\"v\",x=\"y z\"} 2.5\n");
}

/// An HTTP server that keeps what it gets.
class Sink {
 public:
  Sink() {
    auto server = http::Server::Start(runtime_, {}, [this](http::Request& request, http::Response& response) {
      return Take(request, response);
    });
    EXPECT_TRUE(server.ok());
    server_ = std::move(server).value();
  }
  ~Sink() { server_->Stop(1s); }

  net::Runtime& runtime() { return runtime_; }
  std::string url() const { return "http://" + server_->addr() + "/insert/0/prometheus/api/v1/import/prometheus"; }
  void SetStatus(int status) {
    std::lock_guard lock(mutex_);
    status_ = status;
  }
  bool WaitForPushes(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return bodies_.size() >= count; });
  }
  std::string body(size_t i) {
    std::lock_guard lock(mutex_);
    return bodies_.at(i);
  }
  std::string header(std::string_view name) {
    std::lock_guard lock(mutex_);
    return std::string(headers_.Get(name));
  }

 private:
  boost::asio::awaitable<void> Take(http::Request& request, http::Response& response) {
    auto body = co_await request.ReadAll(1 << 20);
    std::lock_guard lock(mutex_);
    bodies_.push_back(body.ok() ? std::string(AsText(body.value())) : body.error().message());
    headers_ = request.headers;
    response.SetStatus(status_);
    changed_.notify_all();
  }

  net::Runtime runtime_{2};
  std::unique_ptr<http::Server> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int status_ = 204;
  std::vector<std::string> bodies_;
  http::Headers headers_;
};

std::string Gunzip(const std::string& packed) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
  std::string out(1 << 16, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(MetricsPusherTest, PushesCompressedTextWithLabelsAndHeaders) {
  Sink sink;
  metrics::Registry registry;
  PushOptions options;
  options.urls = {sink.url()};
  options.interval = 5ms;
  options.extra_labels = {"job=\"vm\"", "instance=\"a\""};
  options.headers = {"Authorization: Basic foobar"};
  auto pusher = MetricsPusher::Start(sink.runtime(), options, registry, [] { return std::string("m 1\n"); });
  ASSERT_TRUE(pusher.ok()) << pusher.error().message();
  ASSERT_TRUE(sink.WaitForPushes(2));
  EXPECT_EQ(Gunzip(sink.body(0)), "m{job=\"vm\",instance=\"a\"} 1\n");
  EXPECT_EQ(sink.header("Content-Encoding"), "gzip");
  EXPECT_EQ(sink.header("Content-Type"), "text/plain");
  EXPECT_EQ(sink.header("Authorization"), "Basic foobar");
  pusher.value()->Stop();
  EXPECT_GE(registry.GetCounter("metrics_push_total{url=\"" + sink.url() + "\"}").Get(), 2u);
  EXPECT_EQ(registry.GetCounter("metrics_push_errors_total{url=\"" + sink.url() + "\"}").Get(), 0u);
}

TEST(MetricsPusherTest, PushesPlainTextAndCountsRefusals) {
  Sink sink;
  sink.SetStatus(400);
  metrics::Registry registry;
  PushOptions options;
  options.urls = {sink.url()};
  options.interval = 5ms;
  options.disable_compression = true;
  auto pusher = MetricsPusher::Start(sink.runtime(), options, registry, [] { return std::string("m 1\n"); });
  ASSERT_TRUE(pusher.ok());
  ASSERT_TRUE(sink.WaitForPushes(3));
  EXPECT_EQ(sink.body(0), "m 1\n");
  EXPECT_EQ(sink.header("Content-Encoding"), "");
  pusher.value()->Stop();
  EXPECT_GE(registry.GetCounter("metrics_push_errors_total{url=\"" + sink.url() + "\"}").Get(), 2u);
}

TEST(MetricsPusherTest, RefusesBadOptions) {
  net::Runtime runtime(1);
  metrics::Registry registry;
  const auto message = [&](PushOptions options) {
    auto pusher = MetricsPusher::Start(runtime, std::move(options), registry, [] { return std::string(); });
    return pusher.ok() ? std::string() : pusher.error().message();
  };
  PushOptions options;
  options.urls = {"ftp://user:secret@x"};
  EXPECT_EQ(message(options), "unsupported scheme in pushURL=\"ftp://user:xxxxx@x\"; expecting 'http' or 'https'");
  options = {};
  options.extra_labels = {"job=vm"};
  EXPECT_EQ(message(options), "label value must be in double quotes in \"job=vm\"");
  options = {};
  options.headers = {"Authorization"};
  EXPECT_EQ(message(options), "missing `:` delimiter in the header \"Authorization\"");
}

}  // namespace
}  // namespace vm::daemon
