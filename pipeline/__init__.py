"""What is run, where it lands, what is shown: the command line, runs and benches."""
