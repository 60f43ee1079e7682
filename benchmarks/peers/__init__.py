"""Other ways from the same float network to an int8 program: one file a peer, each in a process of its own."""
