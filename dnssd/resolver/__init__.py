"""From the name of a service to its endpoints."""
