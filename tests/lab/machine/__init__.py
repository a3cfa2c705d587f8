"""Where the lab runs: the Debian tree, QEMU or namespaces, shells and programs in it."""
