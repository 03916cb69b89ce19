#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "lib/metrics/metrics.h"
#include "lib/sys/sys.h"

namespace vm::metrics {
namespace {

void AppendLine(std::string& dst, std::string_view name, double value) {
  dst += name;
  dst += ' ';
  AppendValue(dst, value);
  dst += '\n';
}

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

}  // namespace

void WriteProcessMetrics(std::string& dst) {
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
  AppendLine(dst, "process_cpu_seconds_system_total", system);
  AppendLine(dst, "process_cpu_seconds_total", user + system);
  AppendLine(dst, "process_cpu_seconds_user_total", user);
  AppendLine(dst, "process_major_pagefaults_total", fields[8]);
  AppendLine(dst, "process_minor_pagefaults_total", fields[6]);
  AppendLine(dst, "process_num_threads", fields[16]);
  AppendLine(dst, "process_resident_memory_bytes", fields[20] * page);
  AppendLine(dst, "process_start_time_seconds", static_cast<double>(static_cast<int64_t>(sys::StartTimeSeconds())));
  AppendLine(dst, "process_virtual_memory_bytes", fields[19]);

  const std::string status = ReadProc("/proc/self/status");
  AppendLine(dst, "process_virtual_memory_peak_bytes", Field(status, "VmPeak") * 1024);
  AppendLine(dst, "process_resident_memory_peak_bytes", Field(status, "VmHWM") * 1024);
  AppendLine(dst, "process_resident_memory_anon_bytes", Field(status, "RssAnon") * 1024);
  AppendLine(dst, "process_resident_memory_file_bytes", Field(status, "RssFile") * 1024);
  AppendLine(dst, "process_resident_memory_shared_bytes", Field(status, "RssShmem") * 1024);

  const std::string io = ReadProc("/proc/self/io");
  AppendLine(dst, "process_io_read_bytes_total", Field(io, "rchar"));
  AppendLine(dst, "process_io_written_bytes_total", Field(io, "wchar"));
  AppendLine(dst, "process_io_read_syscalls_total", Field(io, "syscr"));
  AppendLine(dst, "process_io_write_syscalls_total", Field(io, "syscw"));
  AppendLine(dst, "process_io_storage_read_bytes_total", Field(io, "\nread_bytes"));
  AppendLine(dst, "process_io_storage_written_bytes_total", Field(io, "\nwrite_bytes"));

  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    AppendLine(dst, "process_max_fds", static_cast<double>(limit.rlim_cur));
  }
  AppendLine(dst, "process_open_fds", static_cast<double>(CountOpenFds()));
}

}  // namespace vm::metrics
