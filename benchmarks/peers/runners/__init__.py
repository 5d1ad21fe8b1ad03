"""One file for each peer, which runs in its environment: it may import its neighbours here and the peer, no more."""
