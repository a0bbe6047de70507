"""DNS messages and how they travel: what turns a question into records."""
