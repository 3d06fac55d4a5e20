"""The shipped audit team."""
