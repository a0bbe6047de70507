"""The command line: wiring, printing and exit codes, and nothing else."""
