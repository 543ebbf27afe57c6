"""harness - the parts of bench/run_iterations: scenarios, servers, measuring, statistics, pictures, report."""
