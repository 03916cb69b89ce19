#include "lib/daemon/daemon.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <csignal>
#include <latch>
#include <mutex>
#include <set>
#include <thread>

#include "lib/daemon/auth.h"
#include "lib/http/args.h"
#include "lib/http/client.h"
#include "lib/net/run_on.h"
#include "lib/net/stream.h"

namespace vm::daemon {
namespace {

net::asio::awaitable<bool> Route(http::Request& request, http::Response& response) {
  if (request.path != "/own") co_return false;
  co_await http::WriteText(response, 200, "text/plain", "mine");
  co_return true;
}

/// A daemon with some flags, and requests to it.
class DaemonTest : public testing::Test {
 protected:
  void Start(std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"vmtest", "-httpListenAddr=127.0.0.1:0", "-memory.allowedBytes=1MiB"});
    std::vector<char*> argv;
    for (std::string& flag : flags) argv.push_back(flag.data());
    daemon_.Init(static_cast<int>(argv.size()), argv.data());
    daemon_.StartHttp(Route);
  }
  http::ClientResponse Ask(const std::string& target, http::Headers headers = {}, std::string method = "GET",
                           std::string body = "") {
    auto response = net::BlockOn(daemon_.runtime().MakeStrand(),
                                 http::Fetch(std::move(method), "http://" + daemon_.http_addr() + target,
                                             std::move(headers), std::move(body), std::chrono::seconds(5)));
    EXPECT_TRUE(response.ok()) << response.error().message();
    return response.ok() ? std::move(response).value() : http::ClientResponse();
  }
  std::string Get(const std::string& target, http::Headers headers = {}) {
    const http::ClientResponse response = Ask(target, std::move(headers));
    return std::to_string(response.status) + " " + response.body;
  }

  Daemon daemon_{"vmtest", ":0"};
};

http::Headers Basic(std::string_view user_and_password) {
  http::Headers headers;
  headers.Add("Authorization", "Basic " + http::EncodeBase64(user_and_password));
  return headers;
}

TEST_F(DaemonTest, ServesBuiltinAndOwnPathsUntilASignal) {
  Start({});
  EXPECT_EQ(daemon_.allowed_memory_bytes(), 1 << 20);
  EXPECT_EQ(Get("/health"), "200 OK");
  EXPECT_EQ(Get("/own"), "200 mine");
  EXPECT_EQ(Get("/other"), "400 unsupported path requested: \"/other\"\n");
  EXPECT_EQ(Get("/flags"), "200 -httpListenAddr=\"127.0.0.1:0\"\n-memory.allowedBytes=\"1MiB\"\n");
  EXPECT_EQ(Get("/ping"), "204 ");
  EXPECT_TRUE(Get("/").starts_with("200 vmtest - a component of VictoriaMetrics cluster<br/>\n"));
  const http::ClientResponse icon = Ask("/any/favicon.ico");
  EXPECT_EQ(icon.headers.Get("Cache-Control"), "max-age=3600");
  EXPECT_EQ(icon.body.size(), 198u);
  EXPECT_EQ(Ask("/own", {}, "OPTIONS").headers.Get("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(Ask("/own").headers.Get("Access-Control-Allow-Origin"), "");
  EXPECT_TRUE(Get("/debug/pprof/heap").starts_with("404 "));
  const std::string metrics = Get("/metrics");
  for (const char* line : {"vm_app_version{version=\"vmtest-", "vm_http_requests_all_total 11\n", "process_num_threads ",
                           "vm_http_requests_total{path=\"/debug/pprof/default\"} 1\n",
                           "vm_http_requests_total{path=\"/debug/pprof/trace\"} 0\n",
                           "flag{name=\"cacheExpireDuration\", value=\"30m0s\", is_set=\"false\"} 1\n",
                           "vm_http_requests_total{path=\"/metrics\"} 1\n", "vm_available_cpu_cores ",
                           "vm_http_request_errors_total{path=\"*\", reason=\"unsupported\"} 1\n",
                           "vm_http_request_errors_total{path=\"*\", reason=\"wrong_basic_auth\"} 0\n",
                           "vm_tcplistener_conns{name=\"http\", addr=\"127.0.0.1:0\"} ",
                           "flag{name=\"memory.allowedBytes\", value=\"1MiB\", is_set=\"true\"} 1\n",
                           "level=\"warn\", location=\"lib/daemon/daemon.cc:"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line;
  }
  EXPECT_EQ(Get("/metrics"), metrics);  // The text lives a second.

  kill(getpid(), SIGHUP);
  kill(getpid(), SIGTERM);
  EXPECT_EQ(daemon_.WaitForSignal(), SIGTERM);
  daemon_.StopHttp();
  daemon_.LogStopped(0);
  daemon_.StopRuntime();
}

TEST_F(DaemonTest, ComputesMetricsOnNoIoThread) {
  Start({});
  std::mutex mutex;
  std::set<std::thread::id> io_threads, metrics_threads;
  const auto note = [&mutex](std::set<std::thread::id>& threads) {
    std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  };
  std::latch done(200);
  for (int i = 0; i < 200; ++i) {
    net::asio::post(daemon_.runtime().executor(), [&] {
      note(io_threads);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      done.count_down();
    });
  }
  done.wait();
  daemon_.metrics().SetGaugeCallback("slow", [&] {
    note(metrics_threads);
    return 1.0;
  });
  EXPECT_NE(Get("/metrics").find("slow 1\n"), std::string::npos);
  ASSERT_EQ(metrics_threads.size(), 1u);
  EXPECT_FALSE(io_threads.contains(*metrics_threads.begin()));
  daemon_.StopHttp();
  daemon_.StopRuntime();
}

TEST_F(DaemonTest, AsksForUserAndPassword) {
  Start({"-httpAuth.username=u", "-httpAuth.password=p:w", "-metricsAuthKey=m"});
  const http::ClientResponse refused = Ask("/own");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, "\n");
  EXPECT_EQ(refused.headers.Get("WWW-Authenticate"), "Basic realm=\"VictoriaMetrics\"");
  EXPECT_EQ(Get("/own", Basic("u:p:w")), "200 mine");
  EXPECT_EQ(Get("/own", Basic("u:x")), "401 \n");
  EXPECT_EQ(Get("/own", Basic("u")), "401 \n");
  EXPECT_EQ(Get("/flags"), "401 \n");
  EXPECT_EQ(Get("/health"), "200 OK");
  EXPECT_EQ(Get("/metrics", Basic("u:p:w")),
            "401 Expected to receive non-empty authKey when -metricsAuthKey is set\n");
  EXPECT_EQ(Get("/metrics?authKey=x"), "401 The provided authKey doesn't match -metricsAuthKey\n");
  http::Headers form;
  form.Add("Content-Type", "application/x-www-form-urlencoded");
  EXPECT_EQ(Ask("/metrics", form, "POST", "authKey=m").status, 200);
  const std::string metrics = Get("/metrics?authKey=m");
  EXPECT_NE(metrics.find("vm_http_request_errors_total{path=\"*\", reason=\"wrong_basic_auth\"} 1\n"),
            std::string::npos);
  EXPECT_NE(metrics.find("vm_http_request_errors_total{path=\"*\", reason=\"wrong_auth_key\"} 2\n"),
            std::string::npos);
  EXPECT_EQ(metrics.find("p:w"), std::string::npos);
  EXPECT_NE(metrics.find("flag{name=\"metricsAuthKey\", value=\"secret\", is_set=\"true\"} 1\n"), std::string::npos);
}

TEST_F(DaemonTest, ServesBelowAPathPrefix) {
  Start({"-http.pathPrefix=foo/bar", "-http.disableCORS", "-http.header.hsts=max-age=1", "-http.header.csp=x",
         "-http.header.frameOptions=DENY", "-metrics.exposeMetadata"});
  EXPECT_EQ(Get("/foo/bar/own"), "200 mine");
  EXPECT_EQ(Get("/foo/bar/health"), "200 OK");
  EXPECT_EQ(Get("/own"), "400 missing -http.pathPrefix=\"foo/bar\" in the requested path \"/own\"\n");
  const http::ClientResponse redirect = Ask("/foo/bar?x=1");
  EXPECT_EQ(redirect.status, 302);
  EXPECT_EQ(redirect.headers.Get("Location"), "/foo/bar/");
  const http::ClientResponse options = Ask("/foo/bar/own", {}, "OPTIONS");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.Get("Access-Control-Allow-Origin"), "");
  EXPECT_EQ(options.headers.Get("Strict-Transport-Security"), "max-age=1");
  EXPECT_EQ(options.headers.Get("Content-Security-Policy"), "x");
  EXPECT_EQ(options.headers.Get("X-Frame-Options"), "DENY");
  EXPECT_NE(Get("/foo/bar/metrics").find("# TYPE vm_http_requests_all_total counter\n"), std::string::npos);
}

net::asio::awaitable<std::string> AskBehindProxy(std::string addr) {
  auto stream = co_await net::Dial(std::move(addr), net::DialOptions());
  if (!stream.ok()) co_return stream.error().message();
  const std::string request =
      std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x1f\x90\x00\x50", 28) +
      "GET /own HTTP/1.0\r\n\r\n";
  auto written = co_await stream.value()->Write(AsBytes(request));
  if (!written.ok()) co_return written.error().message();
  ByteBuffer answer(4000);
  auto n = co_await stream.value()->Read(answer);
  co_return std::string(AsText(ByteView(answer).first(n.ok() ? n.value() : 0)));
}

TEST_F(DaemonTest, ListensBehindAProxy) {
  Start({"-httpListenAddr.useProxyProtocol"});
  EXPECT_TRUE(net::BlockOn(daemon_.runtime().MakeStrand(), AskBehindProxy(daemon_.http_addr())).ends_with("\r\n\r\nmine"));
}

TEST_F(DaemonTest, TellsLoadBalancersBeforeItStops) {
  Start({"-http.shutdownDelay=300ms"});
  std::thread stop([this] { daemon_.StopHttp(); });
  std::string health;
  for (int i = 0; i < 1000 && !health.starts_with("503"); ++i) health = Get("/health");
  stop.join();
  EXPECT_TRUE(health.starts_with("503 The server is in delayed shutdown mode, which will end in 0.")) << health;
}

TEST(AuthTest, KnowsTheKeysOfEachDaemon) {
  metrics::Registry registry;
  flags::FlagSet storage_flags;
  const Auth storage(storage_flags, "vmstorage", registry);
  EXPECT_EQ(storage.KeyFlag("/internal/force_merge"), "forceMergeAuthKey");
  EXPECT_EQ(storage.KeyFlag("/snapshot/create"), "snapshotAuthKey");
  EXPECT_EQ(storage.KeyFlag("/delete/0/prometheus/api/v1/admin/tsdb/delete_series"), "");
  flags::FlagSet select_flags;
  const Auth select(select_flags, "vmselect", registry);
  EXPECT_EQ(select.KeyFlag("/delete/0/prometheus/api/v1/admin/tsdb/delete_series"), "deleteAuthKey");
  EXPECT_EQ(select.KeyFlag("/internal/resetRollupResultCache"), "search.resetCacheAuthKey");
  EXPECT_EQ(select.KeyFlag("/select/0/prometheus/api/v1/query"), "");
}

}  // namespace
}  // namespace vm::daemon
