// Our clients with an original vmstorage, when VM_PEER_BIN names a folder with one.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "lib/model/metric_name.h"
#include "lib/net/run_on.h"
#include "lib/net/stream.h"
#include "lib/rpc/insert_codec.h"
#include "lib/rpc/insert_conn.h"
#include "lib/rpc/select_client.h"

extern char** environ;

namespace vm::rpc {
namespace {

namespace stdfs = std::filesystem;
using net::asio::awaitable;

/// A process that is killed at the end.
class Process {
 public:
  explicit Process(std::vector<std::string> command) {
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Process() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

 private:
  pid_t pid_ = -1;
};

/// Loopback addresses that nobody listens at. Closed before this returns: the process started next would inherit them.
std::vector<std::string> FreeAddrs(size_t count) {
  std::vector<std::string> addrs;
  std::vector<int> sockets;
  for (size_t i = 0; i < count; ++i) {
    sockets.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in addr{};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof addr;
    if (bind(sockets.back(), reinterpret_cast<sockaddr*>(&addr), size) != 0) continue;
    if (getsockname(sockets.back(), reinterpret_cast<sockaddr*>(&addr), &size) != 0) continue;
    addrs.push_back("127.0.0.1:" + std::to_string(ntohs(addr.sin_port)));
  }
  for (const int fd : sockets) close(fd);
  return addrs;
}

awaitable<Result<InsertAnswer>> Send(std::string addr, std::string name, ByteBuffer rows, bool& legacy) {
  InsertConnOptions options;
  auto conn = co_await InsertConn::Dial(addr, options);
  if (!conn.ok()) co_return std::move(conn).error();
  legacy = conn.value()->legacy();
  co_return co_await conn.value()->Send(name, rows);
}

TEST(PeerTest, EveryCallToAnOriginalNode) {
  const char* peer = std::getenv("VM_PEER_BIN");
  const stdfs::path binary = peer != nullptr ? stdfs::path(peer) / "vmstorage" : stdfs::path();
  if (peer == nullptr || !stdfs::exists(binary)) GTEST_SKIP() << "VM_PEER_BIN names no original binaries";
  net::Runtime runtime(2);
  const std::vector<std::string> addrs = FreeAddrs(3);
  ASSERT_EQ(addrs.size(), 3u);
  const stdfs::path data = stdfs::temp_directory_path() / ("vm_rpc_peer_" + std::to_string(getpid()));
  stdfs::remove_all(data);
  {
    const Process process({binary.string(), "-storageDataPath=" + data.string(), "-httpListenAddr=" + addrs[0],
                           "-vminsertAddr=" + addrs[1], "-vmselectAddr=" + addrs[2]});
    SelectClient client(runtime, addrs[2], SelectClientOptions());
    const auto ask = [&](const SelectArgs& args) {
      return net::BlockOn(runtime.MakeStrand(), client.Call(args, Deadline::After(std::chrono::seconds(10))));
    };
    for (int i = 0; i < 1200 && ask(SeriesCountRequest{}).outcome != CallOutcome::kOk; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    const int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count();
    const auto raw = [](std::string_view name) {
      ByteBuffer bytes;
      const std::vector<model::LabelView> labels = {{"", name}, {"job", "x"}};
      model::MarshalMetricNameRaw(bytes, {0, 0}, labels);
      return bytes;
    };
    ByteBuffer rows, metadata;
    const ByteBuffer a = raw("a.b"), b = raw("b");
    model::AppendMetricRow(rows, {a, now, 1});
    model::AppendMetricRow(rows, {b, now, 2});
    model::MetadataRow row;
    row.name = "b";
    row.help = "h";
    model::AppendMetadataRow(metadata, row);
    bool legacy = true;
    auto sent = net::BlockOn(runtime.MakeStrand(), Send(addrs[1], std::string(kWriteRows), rows, legacy));
    ASSERT_TRUE(sent.ok() && sent.value() == InsertAnswer::kAccepted);
    EXPECT_FALSE(legacy);
    sent = net::BlockOn(runtime.MakeStrand(), Send(addrs[1], std::string(kWriteMetadata), metadata, legacy));
    ASSERT_TRUE(sent.ok() && sent.value() == InsertAnswer::kAccepted);

    model::SearchQuery query;
    query.time_range = {now - 1000, now + 1000};
    query.tag_filter_groups = {{{"job", "x", false, false}}};
    // Rows are searchable after some seconds.
    for (int i = 0; i < 200 && ask(SearchRequest{query}).reply.size() < 2; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    EXPECT_EQ(ask(SearchRequest{query}).reply.size(), 2u);
    EXPECT_EQ(ask(SearchRequest{}).reply.error, "missing tag filters");
    EXPECT_EQ(ask(SearchMetricNamesRequest{query}).reply.size(), 2u);
    EXPECT_EQ(ask(LabelNamesRequest{query, 0}).reply.size(), 2u);
    EXPECT_EQ(ask(LabelValuesRequest{"__name__", query, 0}).reply.size(), 2u);
    EXPECT_EQ(ask(SearchMetadataRequest{}).reply.size(), 1u);
    EXPECT_EQ(ask(SeriesCountRequest{}).reply.number, 2u);
    TagValueSuffixesRequest suffixes;
    suffixes.time_range = query.time_range;
    EXPECT_EQ(ask(suffixes).reply.size(), 2u);
    const auto tenants = ask(TenantsRequest{query.time_range});
    ASSERT_EQ(tenants.reply.size(), 1u) << tenants.message;
    EXPECT_EQ(AsText(tenants.reply.item(0)), "0:0");
    const auto status_reply = ask(TsdbStatusRequest{query, "job", 5});
    ASSERT_EQ(status_reply.reply.size(), 1u) << status_reply.message;
    const auto status = UnmarshalTsdbStatus(status_reply.reply.item(0));
    ASSERT_TRUE(status.ok());
    EXPECT_EQ(status.value().total_series, 2u);
    EXPECT_EQ(status.value().series_count_by_focus_label_value, (std::vector<model::TopEntry>{{"x", 2}}));
    EXPECT_EQ(status.value().query_stats_by_metric_name.size(), 2u);
    MetricNamesUsageStatsRequest usage;
    usage.limit = 10;
    const auto usage_reply = ask(usage);
    ASSERT_EQ(usage_reply.reply.size(), 1u) << usage_reply.message;
    const auto stats = UnmarshalMetricNamesUsageStats(usage_reply.reply.item(0));
    ASSERT_TRUE(stats.ok());
    EXPECT_EQ(stats.value().records.size(), 2u);
    EXPECT_EQ(ask(ResetMetricNamesStatsRequest()).outcome, CallOutcome::kOk);
    RegisterMetricNamesRequest names;
    names.names = {{raw("c"), now}};
    EXPECT_EQ(ask(names).outcome, CallOutcome::kOk);
    DeleteSeriesRequest deletion{query};
    deletion.query.tag_filter_groups = {{{"", "b", false, false}}};
    EXPECT_EQ(ask(deletion).reply.number, 1u);
    EXPECT_EQ(ask(SearchRequest{query}).reply.size(), 1u);
  }
  stdfs::remove_all(data);
}

}  // namespace
}  // namespace vm::rpc
