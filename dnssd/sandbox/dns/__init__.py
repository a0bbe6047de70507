"""The sandbox's name server: what the hosted zones hold, by UDP and TCP."""
