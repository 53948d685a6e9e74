"""A data center's terminal commands: each a module with `parser()` and `run(args)`."""
