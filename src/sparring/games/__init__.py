"""What each player minimises: one file a game. A game never imports the engine and never steps an optimiser."""
