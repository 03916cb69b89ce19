add_executable(vmselect main.cc flags.cc)
target_link_libraries(vmselect PRIVATE vm_select_http vm_select_clusternative vm_select_fanout vm_daemon vm_rpc)
