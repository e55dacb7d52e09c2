"""The solvers, by the names that settings give them."""
