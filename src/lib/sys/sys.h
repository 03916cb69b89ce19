#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace vm::sys {

/// Time as the daemons see it. Tests replace it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Unix milliseconds.
  virtual int64_t NowMs() const = 0;
};

/// The clock of the machine.
Clock& RealClock();

/// CPUs this process may use: the cgroup quota, the affinity mask, at least 1.
size_t AvailableCpus();
/// Memory this process may use: the cgroup limit or the size of the machine.
int64_t AvailableMemoryBytes();
/// The budget for caches; the other flag when `allowed_bytes` is 0.
int64_t AllowedMemoryBytes(int64_t allowed_bytes, double allowed_percent);

/// Give pages of freed memory back to the system when the allocator keeps at least `min_bytes` of them; it does not do that
/// by itself for what lies between blocks in use. Returns whether it did. Takes milliseconds for each gigabyte.
bool ReturnFreeMemory(size_t min_bytes);

/// Stack of the threads that start from now on; only what they touch is taken from the system.
void SetThreadStackBytes(size_t bytes);

/// The name of this host, or "unknown".
std::string HostName();
/// Unix seconds at which the process started.
double StartTimeSeconds();

}  // namespace vm::sys
