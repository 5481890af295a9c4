"""A project from a folder of the control node, whose dependencies are not wanted."""

said = "one"
