"""Taking over an assistant's database and agents: what would happen, said before anything runs."""
