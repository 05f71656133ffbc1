"""What the commands over images do, `classify` and `detect`: one image or a hundred thousand."""
