#include "lib/daemon/daemon.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "lib/http/client.h"
#include "lib/net/run_on.h"

namespace vm::daemon {
namespace {

net::asio::awaitable<bool> Route(http::Request& request, http::Response& response) {
  if (request.path != "/own") co_return false;
  co_await http::WriteText(response, 200, "text/plain", "mine");
  co_return true;
}

TEST(DaemonTest, ServesBuiltinAndOwnPathsUntilASignal) {
  Daemon daemon("vmtest", ":0");
  std::string args[] = {"vmtest", "-httpListenAddr=127.0.0.1:0", "-memory.allowedBytes=1MiB"};
  char* argv[] = {args[0].data(), args[1].data(), args[2].data()};
  daemon.Init(3, argv);
  EXPECT_EQ(daemon.allowed_memory_bytes(), 1 << 20);
  daemon.StartHttp(Route);
  const auto get = [&](const std::string& path) {
    auto response = net::BlockOn(daemon.runtime().MakeStrand(),
                                 http::Fetch("GET", "http://" + daemon.http_addr() + path, {}, "",
                                             std::chrono::seconds(5)));
    return response.ok() ? std::to_string(response.value().status) + " " + response.value().body
                         : response.error().message();
  };
  EXPECT_EQ(get("/health"), "200 OK");
  EXPECT_EQ(get("/own"), "200 mine");
  EXPECT_EQ(get("/other"), "400 unsupported path requested: \"/other\"\n");
  EXPECT_EQ(get("/flags"),
            "200 -httpListenAddr=\"127.0.0.1:0\"\n-memory.allowedBytes=\"1MiB\"\n");
  const std::string metrics = get("/metrics");
  EXPECT_NE(metrics.find("vm_app_version{version=\"vmtest-"), std::string::npos);
  EXPECT_NE(metrics.find("vm_http_requests_all_total 5\n"), std::string::npos);
  EXPECT_NE(metrics.find("process_num_threads "), std::string::npos);

  kill(getpid(), SIGTERM);
  EXPECT_EQ(daemon.WaitForSignal(), SIGTERM);
  daemon.StopHttp();
  daemon.LogStopped(0);
  daemon.StopRuntime();
}

}  // namespace
}  // namespace vm::daemon
