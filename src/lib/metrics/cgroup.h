#pragma once

#include <string>
#include <string_view>

namespace vm::metrics {

/// Folder of the process in cgroup v2, or "" when there is none. `cgroup` and `mounts` are the contents of
/// /proc/self/cgroup and /proc/self/mountinfo: beside cgroup v1 the second version lies elsewhere than in /sys/fs/cgroup.
std::string CgroupV2Folder(std::string_view cgroup, std::string_view mounts);

}  // namespace vm::metrics
