"""The sandbox's Route 53: hosted zones behind an HTTP API, strict where joins rely on it."""
