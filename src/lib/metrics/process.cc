#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/metrics/cgroup.h"
#include "lib/metrics/metrics.h"
#include "lib/sys/sys.h"

namespace vm::metrics {
namespace {

/// Names of these metrics end like that when they are counters.
bool IsCounter(std::string_view name) { return name.ends_with("_total") && !name.starts_with("process_io_"); }

class Lines {
 public:
  Lines(std::string& dst, bool with_metadata) : dst_(dst), with_metadata_(with_metadata) {}

  void Add(std::string_view name, double value) {
    if (with_metadata_) AppendMetadata(dst_, name, IsCounter(name) ? "counter" : "gauge");
    dst_ += name;
    dst_ += ' ';
    AppendValue(dst_, value);
    dst_ += '\n';
  }

 private:
  std::string& dst_;
  const bool with_metadata_;
};

/// The number behind "key:" in a /proc file, or 0.
double Field(const std::string& text, std::string_view key) {
  const size_t at = text.find(std::string(key) + ":");
  if (at == std::string::npos) return 0;
  size_t pos = at + key.size() + 1;
  while (pos < text.size() && (text[pos] == ' ' || text[pos] == '\t')) ++pos;
  uint64_t value = 0;
  std::from_chars(text.data() + pos, text.data() + text.size(), value);
  return static_cast<double>(value);
}

std::string ReadProc(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

size_t CountOpenFds() {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  size_t count = 0;
  while (const dirent* entry = readdir(dir)) count += entry->d_name[0] != '.';
  closedir(dir);
  return count > 0 ? count - 1 : 0;  // Without the one opened here.
}

/// Microseconds behind "total=" in the line of a pressure file that starts with `kind`.
std::optional<double> PressureTotal(const std::string& text, std::string_view kind) {
  size_t at = text.find(kind);
  if (at == std::string::npos || (at = text.find("total=", at)) == std::string::npos) return std::nullopt;
  uint64_t value = 0;
  std::from_chars(text.data() + at + 6, text.data() + text.size(), value);
  return static_cast<double>(value);
}

/// Growth of the pressure figures since the first call; nothing without them.
void AddPressure(Lines& lines) {
  static const std::string folder = CgroupV2Folder(ReadProc("/proc/self/cgroup"), ReadProc("/proc/self/mountinfo"));
  if (folder.empty()) return;
  static Mutex mutex;
  static std::map<std::string, double> first;
  MutexLock lock(mutex);
  for (const char* resource : {"cpu", "io", "memory"}) {
    const std::string text = ReadProc(fmt::format("{}/{}.pressure", folder, resource).c_str());
    for (const auto& [kind, word] : {std::pair("some", "waiting"), std::pair("full", "stalled")}) {
      const std::optional<double> total = PressureTotal(text, kind);
      if (!total) continue;
      const std::string name = fmt::format("process_pressure_{}_{}_seconds_total", resource, word);
      lines.Add(name, (*total - first.emplace(name, *total).first->second) / 1e6);
    }
  }
}

}  // namespace

void WriteProcessMetrics(std::string& dst, bool with_metadata) {
  Lines lines(dst, with_metadata);
  const std::string stat = ReadProc("/proc/self/stat");
  const size_t paren = stat.rfind(')');
  std::vector<double> fields;
  if (paren != std::string::npos) {
    std::stringstream rest(stat.substr(paren + 1));
    std::string state;
    rest >> state;
    for (double value = 0; rest >> value;) fields.push_back(value);
  }
  fields.resize(40);
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  // fields[i] is field i+4 of proc(5).
  const double user = fields[10] / ticks;
  const double system = fields[11] / ticks;
  lines.Add("process_cpu_seconds_system_total", system);
  lines.Add("process_cpu_seconds_total", user + system);
  lines.Add("process_cpu_seconds_user_total", user);
  lines.Add("process_major_pagefaults_total", fields[8]);
  lines.Add("process_minor_pagefaults_total", fields[6]);
  lines.Add("process_num_threads", fields[16]);
  lines.Add("process_resident_memory_bytes", fields[20] * page);
  lines.Add("process_start_time_seconds", static_cast<double>(static_cast<int64_t>(sys::StartTimeSeconds())));
  lines.Add("process_virtual_memory_bytes", fields[19]);

  const std::string status = ReadProc("/proc/self/status");
  lines.Add("process_virtual_memory_peak_bytes", Field(status, "VmPeak") * 1024);
  lines.Add("process_resident_memory_peak_bytes", Field(status, "VmHWM") * 1024);
  lines.Add("process_resident_memory_anon_bytes", Field(status, "RssAnon") * 1024);
  lines.Add("process_resident_memory_file_bytes", Field(status, "RssFile") * 1024);
  lines.Add("process_resident_memory_shared_bytes", Field(status, "RssShmem") * 1024);

  const std::string io = ReadProc("/proc/self/io");
  lines.Add("process_io_read_bytes_total", Field(io, "rchar"));
  lines.Add("process_io_written_bytes_total", Field(io, "wchar"));
  lines.Add("process_io_read_syscalls_total", Field(io, "syscr"));
  lines.Add("process_io_write_syscalls_total", Field(io, "syscw"));
  lines.Add("process_io_storage_read_bytes_total", Field(io, "\nread_bytes"));
  lines.Add("process_io_storage_written_bytes_total", Field(io, "\nwrite_bytes"));

  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    lines.Add("process_max_fds", static_cast<double>(limit.rlim_cur));
  }
  lines.Add("process_open_fds", static_cast<double>(CountOpenFds()));
  lines.Add("process_cpu_cores_available", static_cast<double>(sys::AvailableCpus()));
  lines.Add("process_memory_limit_bytes", static_cast<double>(sys::AvailableMemoryBytes()));
  AddPressure(lines);
}

}  // namespace vm::metrics
