"""Many machines on one: network namespaces with addresses of their own and no disk in common."""
