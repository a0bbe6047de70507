"""Zones at Cloudflare: `records` is pure, `client` speaks to the API, `zone` is the `Zone`."""
