"""What the benchmarks measured: JSON files, written by benchmarks/ and read by lessons."""
