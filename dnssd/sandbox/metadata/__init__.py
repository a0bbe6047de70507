"""The sandbox's instance metadata: a made-up EC2 instance tells who it is."""
