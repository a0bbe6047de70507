"""What stands between client and zone: limits, policies, and faults on request."""
