"""What the collection costs on this machine; each script prints one table, as ratios within one run."""
