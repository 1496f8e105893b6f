"""The live screen: it draws what the desk sees, and asks it for what a person presses."""
