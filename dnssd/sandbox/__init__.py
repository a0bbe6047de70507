"""A local stand-in for what dnssd needs from the cloud: Route 53, DNS and instance metadata."""
