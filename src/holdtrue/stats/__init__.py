"""Statistics on session values: numpy and scipy only, the generator always passed in."""
