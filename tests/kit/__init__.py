"""What tests and benchmarks share: servers, made-up clouds and networks, proxies, invariants."""
