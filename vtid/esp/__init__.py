"""ESP: algorithms, the proposals that name them, and the room they take in a packet."""
