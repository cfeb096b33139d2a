"""When the players move: the one loop, its state, its files. Nothing here knows a game by name."""
