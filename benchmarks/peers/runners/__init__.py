"""One file for each peer. Each runs in its own environment, so that it may import `protocol` and the peer, nothing else."""
