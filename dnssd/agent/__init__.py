"""Keeps a host's services in DNS while they are healthy, and out while they are not."""
