"""Whether a team and its charter hold together, before anything runs: every mistake with its place and its fix."""
