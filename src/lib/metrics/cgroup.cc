#include "lib/metrics/cgroup.h"

namespace vm::metrics {
namespace {

/// Takes what comes before the next `end` off the front of `text`.
std::string_view TakeUntil(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

/// Lines of mountinfo: id, parent, device, root, mount point, options, optional fields, "-", type, source, options.
std::string_view MountPoint(std::string_view mounts) {
  while (!mounts.empty()) {
    std::string_view line = TakeUntil(mounts, '\n');
    if (line.find(" - cgroup2 ") == std::string_view::npos) continue;
    for (int i = 0; i < 4; ++i) TakeUntil(line, ' ');
    return TakeUntil(line, ' ');
  }
  return "/sys/fs/cgroup";
}

}  // namespace

std::string CgroupV2Folder(std::string_view cgroup, std::string_view mounts) {
  while (!cgroup.empty()) {
    const std::string_view line = TakeUntil(cgroup, '\n');
    if (!line.starts_with("0::")) continue;
    std::string folder(MountPoint(mounts));
    folder += line.substr(3);
    while (folder.ends_with('/')) folder.pop_back();
    return folder;
  }
  return "";
}

}  // namespace vm::metrics
