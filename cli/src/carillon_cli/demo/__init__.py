"""The acceptance story: Dupont SA's calls, placed and checked."""
