"""Kill things at random moments of a run, run again, and see that the cluster converges and nothing is left behind."""
