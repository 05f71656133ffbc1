"""What the commands over pictures do, `classify` and `detect`: one picture or a hundred thousand."""
