"""What a host is set up with: its IAM policy, and the user-data that joins and leaves."""
