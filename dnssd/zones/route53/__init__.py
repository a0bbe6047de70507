"""Amazon Route 53: `zone` is the `Zone`, `text` what Route 53 writes, the rest talks to AWS."""
