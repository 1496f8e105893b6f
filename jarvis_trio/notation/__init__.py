"""How things are written and read: text for people, instants, moments, JSON in rows. Pure."""
