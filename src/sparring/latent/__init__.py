"""Walking through a generator's noise: what lies between two images, and in which directions they change."""
