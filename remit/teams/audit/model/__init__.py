"""What the roles have a model say, if the task names one: asked within bounds, held against the code, marked."""
