"""Measurements, one module each, run by `benchmarks/run NAME`; results lie in `benchmarks/results/`."""
