"""The command `tamis`."""
