#include "lib/sys/sys.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <thread>

#include "lib/base/check.h"

namespace vm::sys {
namespace {

class SystemClock : public Clock {
 public:
  int64_t NowMs() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

/// The limit in a cgroup file, or 0 when there is none.
int64_t ReadLimit(const char* path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (!(file >> value) || value < 0) return 0;
  return value;
}

}  // namespace

Clock& RealClock() {
  static SystemClock clock;
  return clock;
}

size_t AvailableCpus() {
  size_t cpus = std::max(1u, std::thread::hardware_concurrency());
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    cpus = std::min<size_t>(cpus, std::max(1, CPU_COUNT(&set)));
  }
  double quota = 0;
  double period = 0;
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  if (!(v2 >> quota >> period)) {
    quota = static_cast<double>(ReadLimit("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"));
    period = static_cast<double>(ReadLimit("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  }
  if (quota > 0 && period > 0) {
    const auto limit = static_cast<size_t>(std::ceil(std::min(quota / period, 65536.0)));
    cpus = std::min(cpus, std::max<size_t>(1, limit));
  }
  return cpus;
}

int64_t AvailableMemoryBytes() {
  struct sysinfo info {};
  int64_t memory = int64_t{1} << 30;
  if (sysinfo(&info) == 0) memory = static_cast<int64_t>(info.totalram) * info.mem_unit;
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    if (const int64_t limit = ReadLimit(path); limit > 0) memory = std::min(memory, limit);
  }
  return memory;
}

int64_t AllowedMemoryBytes(int64_t allowed_bytes, double allowed_percent) {
  if (allowed_bytes > 0) return allowed_bytes;
  return static_cast<int64_t>(static_cast<double>(AvailableMemoryBytes()) * allowed_percent / 100);
}

bool ReturnFreeMemory(size_t min_bytes) {
  if (mallinfo2().fordblks < min_bytes) return false;
  malloc_trim(0);
  return true;
}

void SetThreadStackBytes(size_t bytes) {
  pthread_attr_t attributes;
  VM_CHECK(pthread_attr_init(&attributes) == 0);
  VM_CHECK(pthread_attr_setstacksize(&attributes, bytes) == 0);
  VM_CHECK(pthread_setattr_default_np(&attributes) == 0);
  pthread_attr_destroy(&attributes);
}

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

double StartTimeSeconds() {
  static const double start =
      static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(
                              std::chrono::system_clock::now().time_since_epoch())
                              .count()) /
      1000;
  return start;
}

}  // namespace vm::sys
