#include <chrono>
#include <memory>

#include "lib/daemon/daemon.h"
#include "lib/daemon/version.h"
#include "lib/fs/file_system.h"
#include "lib/log/log.h"
#include "storage/engine/engine.h"
#include "storage/flags.h"
#include "storage/reference_flags.h"
#include "storage/server/engine_metrics.h"
#include "storage/server/server.h"

namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  vm::fs::ReportBusErrors();
  vm::daemon::Daemon daemon("vmstorage", ":8482");
  const vm::storage::StorageFlags flags(daemon.flags());
  daemon.flags().AcceptUndefined(vm::storage::kReferenceFlags);
  daemon.Init(argc, argv);

  auto options = flags.MakeEngineOptions(daemon.allowed_memory_bytes());
  if (!options.ok()) VM_FATAL("{}", options.error().message());
  vm::storage::EngineMetricsOptions metrics_options;
  metrics_options.path = flags.data_path();
  metrics_options.min_free_disk_space_bytes = options.value().min_free_disk_space_bytes;
  metrics_options.max_unique_timeseries = options.value().max_unique_timeseries > 0
                                              ? options.value().max_unique_timeseries
                                              : options.value().automatic_max_unique_timeseries;
  metrics_options.track_metric_names_stats = options.value().track_metric_names_stats;
  VM_LOG_INFO("opening storage at \"{}\" with -retentionPeriod={}", flags.data_path(), flags.retention_text());
  const auto opened_at = std::chrono::steady_clock::now();
  auto opened = vm::storage::Engine::Open(std::move(options).value());
  if (!opened.ok()) {
    VM_FATAL("cannot open a storage at {}: {}", flags.data_path(), opened.error().message());
  }
  std::unique_ptr<vm::storage::Engine> engine = std::move(opened).value();
  const vm::storage::PartitionStats parts = engine->Stats().table;
  VM_LOG_INFO(
      "successfully opened storage \"{}\" in {:.3f} seconds; partsCount: {}; blocksCount: {}; rowsCount: {}; "
      "sizeBytes: {}",
      flags.data_path(), SecondsSince(opened_at), parts.small.parts + parts.big.parts,
      parts.small.blocks + parts.big.blocks, parts.small.rows + parts.big.rows,
      parts.small.size_bytes + parts.big.size_bytes);
  // The registry may call into the engine until the HTTP server is gone.
  vm::storage::RegisterEngineMetrics(daemon.metrics(), *engine, metrics_options);
  vm::fs::RegisterPathMetrics(daemon.metrics(), flags.data_path());

  vm::storage::ServerOptions server_options = flags.MakeServerOptions();
  server_options.registry = &daemon.metrics();
  server_options.allowed_memory_bytes = static_cast<uint64_t>(daemon.allowed_memory_bytes());
  server_options.version = vm::daemon::LongVersion("vmstorage");
  auto started = vm::storage::StorageServer::Start(daemon.runtime(), *engine, server_options);
  if (!started.ok()) VM_FATAL("{}", started.error().message());
  std::unique_ptr<vm::storage::StorageServer> server = std::move(started).value();
  VM_LOG_INFO("accepting vminsert conns at {}", server->vminsert_addr());
  VM_LOG_INFO("accepting vmselect conns at {}", server->vmselect_addr());
  daemon.StartHttp([&server](vm::http::Request& request, vm::http::Response& response) {
    return server->HandleHttp(request, response);
  });
  daemon.LogStarted(SecondsSince(opened_at));

  daemon.WaitForSignal();
  const auto stopping_at = std::chrono::steady_clock::now();
  daemon.StopHttp();
  server->Stop();
  daemon.StopRuntime();
  server.reset();
  VM_LOG_INFO("successfully shut down the service in {:.3f} seconds", SecondsSince(stopping_at));
  VM_LOG_INFO("gracefully closing the storage at {}", flags.data_path());
  const auto closing_at = std::chrono::steady_clock::now();
  if (auto status = engine->Close(); !status.ok()) {
    VM_FATAL("cannot close the storage at {}: {}", flags.data_path(), status.error().message());
  }
  VM_LOG_INFO("successfully closed the storage in {:.3f} seconds", SecondsSince(closing_at));
  daemon.LogStopped(SecondsSince(stopping_at));
  return 0;
}
